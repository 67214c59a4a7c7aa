"""What docs/coming-from-apache.md tells administrators to write does what it says."""

import http
import re
import threading

import pytest
import websockets.sync.server

from client import ask, connect
from servers import ROOT

BEHIND = "localhost:3000"


@pytest.fixture
def application():
    """Pages and WebSockets at one address; gives its port."""
    def page(connection, request):
        if request.headers.get("Upgrade") is None:
            return connection.respond(http.HTTPStatus.OK, f"the page {request.path}\n")
        return None

    def talk(socket):
        for message in socket:
            socket.send(f"{socket.request.path}: {message}")

    with websockets.sync.server.serve(talk, "127.0.0.1", 0, process_request=page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def test_pages_go_through_mod_proxy_and_websockets_through_the_tunnel(apache, application):
    text = (ROOT / "docs/coming-from-apache.md").read_text()
    lines, = re.findall(r"^```\n(SetEnvIfNoCase .*?)^```$", text, re.M | re.S)
    assert lines.count(BEHIND) == 2
    server = apache(lines.replace(BEHIND, f"127.0.0.1:{application}"), modules=["setenvif", "proxy", "proxy_http"])
    for path in ("/app", "/app/live", "/"):
        assert ask(server, path)[2] == f"the page {path}\n".encode()
    with connect(server, "/app/live?room=1") as socket:
        socket.send("hello")
        assert socket.recv() == "/app/live?room=1: hello"
    with connect(server, "/app/live") as socket:
        socket.close()
        assert socket.close_code == 1000
    assert "linkspan: closed" in server.errors()
