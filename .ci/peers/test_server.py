"""Our C echo server and the clients of Python `websockets` and Node `ws`."""

import ssl
import subprocess

import pytest
import trustme
from websockets.sync.client import connect

from exchange import COMPRESSION, HERE, MESSAGES, NODE, PROGRAMS, THEIR_COMPRESSION
from servers import announcing


@pytest.fixture
def url(ours):
    with announcing(PROGRAMS / "echo_server", "--port", "0", *["--deflate"] * ours) as (url, process):
        yield url
        assert process.poll() is None, "the server ended by itself"


@COMPRESSION
@THEIR_COMPRESSION
def test_python_websockets_gets_every_message_back(url, ours, theirs):
    with connect(url, compression="deflate" if theirs else None, max_size=None) as peer:
        assert bool(peer.protocol.extensions) == (ours and theirs)
        for message in MESSAGES:
            peer.send(message)
        for message in MESSAGES:
            assert peer.recv(timeout=30) == message


def test_python_websockets_gets_every_message_back_over_tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tls = ["--tls", tmp_path / "certificate", tmp_path / "key"]
    with announcing(PROGRAMS / "echo_server", "--port", "0", *tls) as (url, _):
        assert url.startswith("wss://127.0.0.1:")
        with connect(url, ssl=trusting, max_size=None) as peer:
            for message in MESSAGES:
                peer.send(message)
            for message in MESSAGES:
                assert peer.recv(timeout=30) == message


@COMPRESSION
@THEIR_COMPRESSION
def test_python_websockets_may_send_fragments_with_a_ping_between_them(url, ours, theirs):
    with connect(url, compression="deflate" if theirs else None) as peer:
        def parts():
            yield "one, "
            pong = peer.ping(b"between")
            assert pong.wait(30)
            yield "two, "
            yield ""
            yield "three"
        peer.send(parts())
        assert peer.recv(timeout=30) == "one, two, three"


@COMPRESSION
@pytest.mark.parametrize("code, reason", [(1000, ""), (1001, "going"), (4999, "再见")])
def test_python_websockets_gets_its_close_code_back(url, code, reason):
    with connect(url) as peer:
        peer.close(code, reason)
        assert peer.protocol.close_rcvd.code == code
        assert peer.protocol.close_rcvd_then_sent is False


@COMPRESSION
@THEIR_COMPRESSION
def test_node_ws_gets_every_message_back(url, ours, theirs):
    result = subprocess.run(["node", HERE / "client.js", url, str(theirs).lower()], env=NODE, timeout=120,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    extensions = "permessage-deflate" if ours and theirs else "none"
    assert result.stdout == f"extensions {extensions}\nall came back\nclosed 4321\n"
