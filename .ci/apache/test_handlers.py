"""What a location can speak beside echo: topics, plugins of ours and of apache-websocket's, tunnels."""

import asyncio
import base64
import contextlib
import hashlib
import pathlib
import re
import socket
import signal
import subprocess
import threading
import time

import pytest
import websockets.asyncio.server
import websockets.exceptions
import websockets.sync.server

from client import HEAD, Raw, ask, connect, frame
from httpd import OURS, wait_for
from servers import ROOT, free_port
from test_handshake import GOOD


def location(path, handler, more=""):
    return f"<Location {path}>\nSetHandler linkspan\nLinkspanHandler {handler}\n{more}\n</Location>\n"


# Everybody in one process.
TOGETHER = "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxSpareThreads 25\n"


@pytest.fixture(scope="session")
def plugins(tmp_path_factory):
    """The test's plugins, built."""
    folder = tmp_path_factory.mktemp("plugins")
    here = ROOT / ".ci/apache/plugins"
    for source in here.iterdir():
        compiler = ["c++", "-std=c++17"] if source.suffix == ".cpp" else ["cc", "-std=gnu99"]
        subprocess.run([*compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include",
                        "-I", ROOT / "bindings/cpp", "-I", ROOT / "bindings/apache", source, "-o",
                        folder / source.with_suffix(".so").name, "-L", ROOT / "build/lib", "-llinkspan", "-pthread"],
                       check=True)
    return folder


@pytest.mark.parametrize("way", [("event", ""), ("event", "LinkspanIOThreads 3"), ("event", "LinkspanDetach Auto"),
                                 ("worker", "")], ids=["suspend", "three threads", "detach", "worker"])
def test_all_clients_of_a_topic_hear_each_other(apache, way):
    mpm, option = way
    server = apache(f"{TOGETHER}{option}\n" + location("/room", "topic room") + location("/other", "topic other"), mpm=mpm)
    with contextlib.ExitStack() as stack:
        room = [stack.enter_context(connect(server, "/room", tls=i % 2 == 1)) for i in range(8)]
        other = stack.enter_context(connect(server, "/other"))
        # Until each has heard of the other, somebody may still be on his way in.
        for speaker in room:
            speaker.send("hello")
            assert speaker.recv(30) == "hello"
        for number, speaker in enumerate(room):
            speaker.send(f"from {number}")
        for hearer in room:
            heard = set()
            while len(heard) < 8:
                said = hearer.recv(30)
                heard |= {said} - {"hello"}
            assert heard == {f"from {number}" for number in range(8)}
        other.send("alone")
        assert other.recv(30) == "alone"


def test_the_chat_of_the_examples(apache):
    server = apache(TOGETHER + location("/chat", f"plugin {OURS}/chat.so chat"))
    with connect(server, "/chat") as one, connect(server, "/chat") as two:
        two.send("ready")
        assert two.recv(30) == "ready"
        one.send("hello")
        while one.recv(30) != "hello":
            pass
        while two.recv(30) != "hello":
            pass


def test_a_plugin_refuses_and_adds_headers(carried, plugins):
    server = carried(location("/push", f"plugin {plugins}/push.so push"))
    assert ask(server, "/push?refuse", GOOD)[0] == 402
    assert ask(server, "/push?odd", GOOD)[0] == 500
    assert "answers a request with 7" in server.errors()
    status, fields, _ = ask(server, "/push", GOOD)
    assert status == 101 and fields["x-plugin"] == "push"


def test_many_at_once_are_no_more_than_there_are_places(apache, plugins):
    server = apache(TOGETHER + "LinkspanMaxConnections 3\n" + location("/push", f"plugin {plugins}/push.so push"))
    asking = [Raw(server, send=False) for _ in range(20)]
    for raw in asking:
        raw.send(HEAD.format(path="/push?slow", port=server.port, more="").encode())
    heads = [raw.read_head().split()[1] for raw in asking]
    assert sorted(heads) == ["101"] * 3 + ["503"] * 17
    for raw in asking:
        raw.close()
    assert ask(server, "/push?refuse", GOOD)[0] in (402, 503)
    # A place that a refused one had is free again.
    wait_for(lambda: ask(server, "/push?refuse", GOOD)[0] == 402, 10, "no place is given back")
    for _ in range(5):
        assert ask(server, "/push?refuse", GOOD)[0] == 402
    assert ask(server, "/push", GOOD)[0] == 101


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_another_thread_pushes_while_clients_flood(carried, plugins, tls):
    server = carried(location("/push", f"plugin {plugins}/push.so push"))
    seen = []

    def flood(number):
        with connect(server, "/push", tls=tls, compression=None) as socket:
            ticks = 0
            for i in range(300):
                socket.send(f"{number} {i}" + "x" * 1000)
                while True:
                    said = socket.recv(60)
                    if said != "tick":
                        break
                    ticks += 1
                assert said.startswith(f"{number} {i}x")
            while ticks < 20:
                ticks += socket.recv(60) == "tick"
            seen.append(ticks)

    threads = [threading.Thread(target=flood, args=[i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4


def test_a_handler_in_cpp_that_throws_ends_its_own_socket(carried, plugins):
    server = carried(location("/throws", f"plugin {plugins}/throws.so throws"))
    with connect(server, "/throws") as one, connect(server, "/throws") as two:
        one.send("throw")
        with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1011"):
            one.recv(30)
        two.send("well")
        assert two.recv(30) == "well"
    said = next(line for line in server.errors().splitlines() if "has thrown" in line)
    assert f"the plugin of {server.configuration}:" in said and said.endswith("a handler has thrown: as it was asked to")


def test_a_restart_loads_a_plugin_that_was_replaced(apache, tmp_path):
    from test_end import has_gone
    plugin = tmp_path / "refuse.so"

    def build(status):
        source = tmp_path / "refuse.c"
        source.write_text(f"""
#include <linkspan_apache.h>
static int refuse(void *user, const linkspan_request *request, linkspan_accept_options *accept)
{{
    return user || !request || !accept ? 500 : {status};
}}
int start(linkspan_apache_plugin *plugin)
{{
    plugin->on_request = refuse;
    return 0;
}}
""")
        subprocess.run(["cc", "-shared", "-fPIC", "-I", ROOT / "include", "-I", ROOT / "bindings/apache", source, "-o",
                        tmp_path / "new.so"], check=True)
        (tmp_path / "new.so").replace(plugin)

    build(402)
    server = apache(TOGETHER + location("/x", f"plugin {plugin} start"))
    assert ask(server, "/x", GOOD)[0] == 402
    build(403)
    old = server.children()
    server.signal(signal.SIGUSR1)
    wait_for(lambda: all(map(has_gone, old)), 30, "the old child stays")
    assert ask(server, "/x", GOOD)[0] == 403


def test_a_plugin_that_is_missing_or_wrong_is_named(configured, plugins):
    for line, words in [("plugin /nowhere.so chat", "the plugin can not be loaded: /nowhere.so: cannot open"),
                        (f"plugin {OURS}/chat.so prattle", "chat.so has no symbol prattle"),
                        ("plugin one", "LinkspanHandler is echo, topic NAME, plugin FILE SYMBOL"),
                        ("tunnel telnet://x", '"telnet://x" is no server to tunnel to')]:
        is_good, said = configured(location("/x", line)).check()
        assert not is_good and words in said and "Syntax error on line" in said


def test_a_plugin_that_can_not_start_answers_500(apache, plugins):
    server = apache(location("/x", f"plugin {plugins}/push.so fails"))
    assert ask(server, "/x", GOOD)[0] == 500
    assert "its function returned 42" in server.errors()


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_plugin_of_apache_websocket_runs_as_it_is(carried, plugins, tls):
    server = carried(location("/old", f"websocket-plugin {plugins}/old.so old",
                              "LinkspanAccessLog upgrade\nLinkspanSubprotocols first last count number"))
    assert ask(server, "/old", GOOD)[0] == 403
    with connect(server, "/old", tls=tls, subprotocols=["first", "last"]) as socket:
        assert socket.subprotocol == "last"
        assert socket.response.headers["X-Host"] == f"127.0.0.1:{server.tls_port if tls else server.port}"
        for message in ["hello", b"bytes", "x" * 100000]:
            socket.send(message)
            assert socket.recv(30) == message.upper()
        socket.send("close")
        with pytest.raises(websockets.exceptions.ConnectionClosedOK):
            socket.recv(30)
    with connect(server, "/old", tls=tls, subprotocols=["count", "number"]) as socket:
        for i in range(30):
            assert socket.recv(30) == str(i)


def test_what_such_a_plugin_says_before_the_101_comes_behind_it(carried, plugins):
    server = carried(location("/eager", f"websocket-plugin {plugins}/old.so eager"))
    for _ in range(5):
        with connect(server, "/eager", subprotocols=["first", "last"]) as socket:
            assert socket.subprotocol == "first"
            assert socket.response.headers.get_all("X-Set") == ["twice"]
            assert socket.recv(30) == "early" and socket.recv(30) == b"bytes"
    with connect(server, "/eager", additional_headers={"X-Leave": "now"}) as socket:
        assert socket.recv(30) == "early" and socket.recv(30) == b"bytes"
        with pytest.raises(websockets.exceptions.ConnectionClosedOK):
            socket.recv(30)
    assert ask(server, "/eager", [*GOOD, "X-Refuse: yes"])[0] == 403


# --- tunnels -------------------------------------------------------------------

def say_who(socket):
    """A server behind: tells what it was asked, then echoes; ends as it is told to."""
    request = socket.request
    socket.send("|".join([request.path, request.headers.get("Origin", "-"), request.headers.get("Cookie", "-"),
                          request.headers.get("X-Forwarded-For", "-"), socket.subprotocol or "-"]))
    for message in socket:
        if message == "end":
            socket.close(4001, "as you like")
            return
        socket.send(message)


@contextlib.contextmanager
def server_behind(handler):
    with websockets.sync.server.serve(handler, "127.0.0.1", 0, max_size=None, subprotocols=["chat"],
                                      compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_tunnel_carries_messages_and_closes_both_ways(carried, tls):
    with server_behind(say_who) as port:
        server = carried(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/inner", "LinkspanSubprotocols chat"))
        origin = f"http://127.0.0.1:{server.tls_port if tls else server.port}"
        with connect(server, "/tunnel?a=b", tls=tls, subprotocols=["chat"], origin=origin,
                     additional_headers={"Cookie": "c=d"}) as socket:
            assert socket.recv(30) == f"/inner?a=b|{origin}|c=d|127.0.0.1|chat"
            for message in ["hello", b"bytes", "x" * 500000]:
                socket.send(message)
                assert socket.recv(30) == message
            socket.send("end")
            with pytest.raises(websockets.exceptions.ConnectionClosedError, match="4001.*as you like"):
                socket.recv(30)
        with connect(server, "/tunnel", tls=tls, subprotocols=["chat"]) as socket:
            socket.recv(30)
            socket.send("half said")
        # What is said before the server behind is there waits for it.
        with Raw(server, "/tunnel", tls=tls, more="Sec-WebSocket-Protocol: chat\r\n", behind=frame(1, b"early")) as raw:
            assert raw.receive()[1].startswith(b"/inner|")
            assert raw.receive() == (1, b"early")
        # The server behind has heard of the end, or the test would not end here.


@contextlib.contextmanager
def answering(answer):
    """A server behind that takes one request after the other and answers with these bytes; `None` keeps still."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heads, kept = [], []

        def serve():
            while True:
                with contextlib.suppress(OSError):
                    one, _ = listener.accept()
                    head = b""
                    while b"\r\n\r\n" not in head and (more := one.recv(65536)):
                        head += more
                    if not head:
                        return
                    heads.append(head.decode())
                    if answer is None:
                        kept.append(one)
                    else:
                        one.sendall(answer(head.decode()))
                        one.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heads
        finally:
            socket.create_connection(listener.getsockname()).close()
            thread.join()
            for one in kept:
                one.close()


def accepting(*fields):
    """A good 101 with these fields, and an end without a word."""
    def answer(head):
        key = re.search("(?i)sec-websocket-key: (.*)\r", head).group(1)
        proof = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        return "\r\n".join(["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                            f"Sec-WebSocket-Accept: {proof}", *fields, "", ""]).encode()
    return answer


def test_a_tunnel_to_nobody_answers_502(carried):
    server = carried("ErrorDocument 502 /sorry.txt\n" + location("/tunnel", f"tunnel ws://127.0.0.1:{free_port()}/"))
    (server.folder / "htdocs/sorry.txt").write_text("come later\n")
    status, _, body = ask(server, "/tunnel", GOOD)
    assert (status, body) == (502, b"come later\n")
    assert "the server behind: " in server.errors()


def test_the_refusal_of_the_server_behind_is_the_answer(carried):
    def refuse(head):
        return (b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nRetry-After: 7\r\n"
                b"Content-Type: x/y\r\nContent-Length: 2\r\n\r\nno")

    with answering(refuse) as (port, _):
        server = carried("ErrorDocument 403 /no.txt\n" + location("/tunnel", f"tunnel ws://127.0.0.1:{port}/"))
        (server.folder / "htdocs/no.txt").write_text("no entry\n")
        status, fields, body = ask(server, "/tunnel", GOOD)
        assert (status, body, fields["set-cookie"], fields["retry-after"]) == (403, b"no entry\n", "a=b, c=d", "7")
        assert fields.get("content-type") != "x/y"


def test_what_is_no_answer_of_a_websocket_server_is_502(apache):
    with answering(lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (port, _):
        server = apache(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/"))
        assert ask(server, "/tunnel", GOOD)[0] == 502


def test_a_server_behind_that_keeps_still_is_504(carried):
    with answering(None) as (port, heads):
        server = carried(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/", "LinkspanTunnelTimeout 300ms"))
        since = time.monotonic()
        assert ask(server, "/tunnel", GOOD)[0] == 504
        assert time.monotonic() - since >= 0.3 and len(heads) == 1
        assert "no answer within 300 ms" in server.errors()


def test_the_server_behind_chooses_protocol_and_headers(carried):
    """And when it goes without a word, the client is told."""
    fields = ["Sec-WebSocket-Protocol: two", "Set-Cookie: a=b", "Set-Cookie: c=d", "X-Own: yes", "Server: behind"]
    with answering(accepting(*fields)) as (port, heads):
        server = carried(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/"))
        headers = {"X-Client": "told", "X-Forwarded-For": "192.0.2.1", "Keep-Alive": "7"}
        with connect(server, "/tunnel", subprotocols=["one", "two"], additional_headers=headers) as one:
            assert one.subprotocol == "two" and one.response.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
            assert one.response.headers["X-Own"] == "yes" and one.response.headers.get("Server") != "behind"
            with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1011"):
                one.recv(30)
        told = dict(line.lower().split(": ", 1) for line in heads[0].split("\r\n")[1:] if line)
        assert told["sec-websocket-protocol"] == "one, two" and told["x-client"] == "told"
        assert told["x-forwarded-for"] == "192.0.2.1, 127.0.0.1" and told["x-forwarded-proto"] == "http"
        assert told["x-forwarded-host"] == f"127.0.0.1:{server.port}" and "keep-alive" not in told


def test_what_is_not_ascii_goes_through_a_tunnel(apache):
    """Bytes that are not UTF-8 are read as Latin-1."""
    with answering(accepting()) as (port, heads):
        server = apache(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/"))
        for target, cookie in [("/tunnel?caf\xe9", "caf\xc3\xa9"), ("/tunnel?caf\xc3\xa9", "caf\xe9")]:
            assert ask(server, target, [*GOOD, f"Cookie: {cookie}", "X-Forwarded-For: \xe9", "X-Empty:"])[0] == 101
    assert [head.split()[1] for head in heads] == ["/?caf%E9", "/?caf%C3%A9"]
    for line in ("X-Empty: ", "Cookie: caf\xe9", "X-Forwarded-For: \xe9, 127.0.0.1"):
        assert all(f"{line}\r\n" in head for head in heads)


def test_a_location_limits_the_protocols_of_a_tunnel(apache):
    with answering(accepting()) as (port, heads):
        server = apache(location("/tunnel", f"tunnel ws://127.0.0.1:{port}/", "LinkspanSubprotocols two"))
        with connect(server, "/tunnel", subprotocols=["one", "two"]) as one:
            # The server behind has chosen none of them.
            assert one.subprotocol is None
        assert "Sec-WebSocket-Protocol: two\r\n" in heads[0]


def test_two_thousand_tunnels_hold_no_worker(apache, place):
    """To a Unix socket; with 25 workers."""
    path = pathlib.Path(place) / "behind.sock"
    started, stop = threading.Event(), None

    async def behind():
        nonlocal stop
        stop = asyncio.get_running_loop().create_future()

        async def echo(socket):
            async for message in socket:
                await socket.send(message)

        async with websockets.asyncio.server.unix_serve(echo, str(path), compression=None, ping_interval=None):
            path.chmod(0o777)
            started.set()
            await stop

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[behind()])
    thread.start()
    started.wait()
    try:
        server = apache(TOGETHER + "AsyncRequestWorkerFactor 400\n" + location("/tunnel", f"tunnel unix:{path}"))
        opened = []
        try:
            for _ in range(2000):
                opened.append(Raw(server, "/tunnel"))
            for raw in (opened[0], opened[1000], opened[-1]):
                raw.send(frame(1, b"through"))
                assert raw.receive() == (1, b"through")
            since = time.monotonic()
            assert ask(server, "/index.html")[0] == 200
            assert time.monotonic() - since < 1
        finally:
            for raw in opened:
                raw.close()
        wait_for(lambda: ask(server, "/index.html")[0] == 200, 10, "the site is dead")
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join()
