"""WebSockets as streams of HTTP/2 (RFC 8441)."""

import h2.config
import h2.connection
import h2.events
import pytest

from client import CLOSE, TEXT, closing, frame, stream, trusting
from conftest import echo

HTTP2 = "LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so\nH2WebSockets On\n"
TUNNEL = {":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13"}


class Browser:
    """One HTTP/2 connection."""

    def __init__(self, server):
        context = trusting()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(stream(server.tls_port, False))
        assert self.socket.selected_alpn_protocol() == "h2"
        self.port = server.tls_port
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data, self.heads, self.ended = {}, {}, set()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def until(self, is_so):
        while not is_so():
            data = self.socket.recv(65536)
            assert data, "the server has ended the connection"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    self.heads[event.stream_id] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    self.ended.add(event.stream_id)
            self.flush()

    def begin(self, path, behind=b"", **more):
        """Sends a request, and what stands behind its head, which ends the stream unless it is a tunnel's."""
        one = self.h2.get_next_available_stream_id()
        headers = {":method": "GET", ":scheme": "https", ":authority": f"127.0.0.1:{self.port}", ":path": path, **more}
        self.h2.send_headers(one, list(headers.items()), end_stream=":protocol" not in more)
        if behind:
            self.h2.send_data(one, behind)
        self.flush()
        return one

    def ask(self, path, behind=b"", **more):
        one = self.begin(path, behind, **more)
        self.until(lambda: one in self.heads)
        return one, self.heads[one]

    def open(self, path, behind=b"", **more):
        return self.ask(path, behind, **{**TUNNEL, **more})

    def send(self, one, data):
        self.h2.send_data(one, data)
        self.flush()

    def receive(self, one, n):
        self.until(lambda: len(self.data.get(one, b"")) >= n or one in self.ended)
        taken, self.data[one] = self.data[one][:n], self.data[one][n:]
        return taken


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_a_stream_is_a_websocket(apache, mpm):
    server = apache(HTTP2 + echo(), mpm=mpm, tls="Protocols h2 http/1.1")
    browser = Browser(server)
    browser.until(lambda: browser.h2.remote_settings.enable_connect_protocol)
    one, head = browser.open("/echo")
    assert head[":status"] == "200"
    browser.send(one, frame(TEXT, b"hello") + frame(TEXT, b"again"))
    assert browser.receive(one, 14) == b"\x81\x05hello\x81\x05again"
    two, head = browser.open("/echo")
    assert head[":status"] == "200"
    for i in range(100):
        for which in (one, two):
            browser.send(which, frame(TEXT, b"%03d" % i))
            assert browser.receive(which, 5) == b"\x81\x03%03d" % i
    browser.send(one, frame(TEXT, b"x" * 16000))
    assert browser.receive(one, 16004)[4:] == b"x" * 16000
    browser.send(one, closing(1000))
    assert browser.receive(one, 4) == bytes([128 | CLOSE, 2]) + b"\x03\xe8"
    browser.until(lambda: one in browser.ended)
    assert browser.ask("/index.html")[1][":status"] == "200"
    browser.send(two, frame(TEXT, b"still"))
    assert browser.receive(two, 7) == b"\x81\x05still"


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_what_comes_before_the_answer_waits_for_it(apache, mpm):
    """Frames that stand right behind the request are there before the socket is: nothing else will wake it."""
    server = apache(HTTP2 + echo(), mpm=mpm, tls="Protocols h2 http/1.1")
    browser = Browser(server)
    for _ in range(20):
        one, head = browser.open("/echo", frame(TEXT, b"hello") + frame(TEXT, b"again"))
        assert head[":status"] == "200"
        assert browser.receive(one, 14) == b"\x81\x05hello\x81\x05again"
        browser.send(one, closing(1000))
        browser.until(lambda: one in browser.ended)


def test_a_refusal_is_an_ordinary_answer(apache):
    server = apache(HTTP2 + echo() + "<Location /locked>\nSetHandler linkspan\nLinkspanHandler echo\nRequire all denied\n"
                    "</Location>\n", tls="Protocols h2 http/1.1")
    browser = Browser(server)
    browser.until(lambda: browser.h2.remote_settings.enable_connect_protocol)
    assert browser.open("/locked")[1][":status"] == "403"
    assert browser.open("/echo", origin="https://elsewhere.example")[1][":status"] == "403"
