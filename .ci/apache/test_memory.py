"""Every way to carry a socket, and every handler, in one process under memcheck."""

import re
import threading

import pytest

from client import Raw, closed_with, closing, connect, frame
from conftest import WAYS, echo
from httpd import OURS
from test_handlers import location, plugins, say_who, server_behind

assert plugins  # a fixture


@pytest.mark.parametrize("way", WAYS)
def test_memory_is_used_as_it_may_be_and_given_back(configured, plugins, way):
    mpm, option = WAYS[way]
    with server_behind(say_who) as port:
        server = configured(f"{option}\n" + ("" if mpm == "prefork" else "ThreadsPerChild 8\nMaxRequestWorkers 8\n")
                            + echo("LinkspanCompression On\nLinkspanIdleTimeout 60")
                            + location("/room", "topic room")
                            + location("/chat", f"plugin {OURS}/chat.so chat", "LinkspanAccessLog upgrade")
                            + location("/old", f"websocket-plugin {plugins}/old.so old", "LinkspanSubprotocols count number")
                            + location("/tunnel", f"tunnel ws://127.0.0.1:{port}/", "LinkspanSubprotocols chat"), mpm=mpm)
        log = server.folder / "memcheck.log"
        server.start("valgrind", f"--log-file={log}", "--leak-check=full", "--errors-for-leak-kinds=none",
                     "--child-silent-after-fork=yes", arguments=("-X",))
        try:
            # By turns over ws and wss.
            for tls in [False, True] * 5:
                with connect(server, tls=tls) as socket:
                    for message in ["hello" * 1000, b"x" * 300000]:
                        socket.send(message)
                        assert socket.recv(120) == message
                Raw(server, tls=tls).close()
                with Raw(server, tls=tls) as raw:
                    raw.send(frame(1, b"\xff"))
                    assert closed_with(raw) == 1007
                for path in ("/room", "/chat"):
                    with connect(server, path, tls=tls) as socket:
                        socket.send("hello")
                        assert socket.recv(120) == "hello"
                with connect(server, "/old", tls=tls, subprotocols=["count", "number"]) as socket:
                    assert socket.recv(120) == "0"
                with connect(server, "/tunnel", tls=tls, subprotocols=["chat"]) as socket:
                    assert socket.recv(120)
            # Some are open when it ends.
            left = [] if mpm == "prefork" else [Raw(server, tls=tls) for tls in (False, True, False)]
            ending = threading.Thread(target=server.stop)
            ending.start()
            for raw in left:
                if way in ("suspend", "detach"):
                    assert closed_with(raw) == 1001
                    raw.send(closing(1001))
                raw.close()
            ending.join()
        finally:
            server.stop()
    said = log.read_text()
    assert "ERROR SUMMARY: 0 errors" in said, said
    lost = re.search(r"definitely lost: ([\d,]+) bytes", said)
    # A byte for each of the sixty sockets would be too much; what the library keeps for good is no more.
    assert not lost or int(lost[1].replace(",", "")) < 3000, said
