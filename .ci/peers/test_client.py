"""Our C echo client and the servers of Python `websockets` and Node `ws`."""

import queue
import ssl
import subprocess

import trustme
from exchange import COMPRESSION, HERE, MESSAGES, NODE, PROGRAMS, THEIR_COMPRESSION
from servers import announcing, python_server


def echo_client(url, *options, deflate=False):
    """Runs the client until the server has closed the connection."""
    command = [PROGRAMS / "echo_client", *options, *["--deflate"] * deflate, url]
    return subprocess.run(command, timeout=120, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@COMPRESSION
@THEIR_COMPRESSION
def test_python_websockets_gets_every_message_back(ours, theirs):
    came = queue.SimpleQueue()

    def handler(peer):
        came.put(bool(peer.protocol.extensions))
        for message in MESSAGES:
            peer.send(message)
            came.put(peer.recv(timeout=30) == message)
        peer.close(4321, "再见")
        came.put(peer.protocol.close_rcvd.code)

    with python_server(handler, compress=theirs) as port:
        result = echo_client(f"ws://127.0.0.1:{port}/", deflate=ours)
        assert result.returncode == 0, result.stderr
        assert came.get(timeout=30) == (ours and theirs)
        assert [came.get(timeout=30) for _ in MESSAGES] == [True] * len(MESSAGES)
        assert came.get(timeout=30) == 4321


def test_python_websockets_gets_every_message_back_over_tls(tmp_path):
    came = queue.SimpleQueue()

    def handler(peer):
        for message in MESSAGES:
            peer.send(message)
            came.put(peer.recv(timeout=30) == message)

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with python_server(handler, tls=tls) as port:
        stranger = echo_client(f"wss://localhost:{port}/")
        assert stranger.returncode == 1 and "certificate" in stranger.stderr
        result = echo_client(f"wss://localhost:{port}/", "--ca", tmp_path / "authority")
        assert result.returncode == 0, result.stderr
        assert [came.get(timeout=30) for _ in MESSAGES] == [True] * len(MESSAGES)


@COMPRESSION
@THEIR_COMPRESSION
def test_python_websockets_may_send_fragments_with_a_ping_between_them(ours, theirs):
    came = queue.SimpleQueue()

    def handler(peer):
        def parts():
            yield b"one, "
            came.put(peer.ping(b"between").wait(30))
            yield b"two, "
            yield b""
            yield b"three"
        peer.send(parts())
        came.put(peer.recv(timeout=30))

    with python_server(handler, compress=theirs) as port:
        result = echo_client(f"ws://127.0.0.1:{port}/", deflate=ours)
        assert result.returncode == 0, result.stderr
        assert came.get(timeout=30) is True
        assert came.get(timeout=30) == b"one, two, three"


@COMPRESSION
@THEIR_COMPRESSION
def test_node_ws_gets_every_message_back(ours, theirs):
    with announcing("node", HERE / "server.js", str(theirs).lower(), env=NODE) as (url, server):
        result = echo_client(url, deflate=ours)
        assert result.returncode == 0, result.stderr
        report = server.stdout.read()
    extensions = "permessage-deflate" if ours and theirs else "none"
    assert report == f"extensions {extensions}\nall came back\nclosed 4321\n"
