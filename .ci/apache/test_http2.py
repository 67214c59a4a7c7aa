"""WebSockets as streams of HTTP/2 (RFC 8441)."""

import signal

import h2.config
import h2.connection
import h2.events
import pytest

from client import TEXT, ask, closing, frame, stream, trusting
from conftest import echo, running
from httpd import wait_for

HTTP2 = "LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so\nH2WebSockets On\n"
GOAWAY = 7
TLS = "Protocols h2 http/1.1"
ONE_CHILD = "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxSpareThreads 25\n"
TUNNEL = {":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13"}


class Browser:
    """One HTTP/2 connection."""

    def __init__(self, server):
        self.socket = trusting("h2").wrap_socket(stream(server.tls_port, False))
        assert self.socket.selected_alpn_protocol() == "h2"
        self.port = server.tls_port
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data, self.heads, self.ended, self.unread = {}, {}, set(), b""
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def until(self, is_so):
        while not is_so():
            data = self.socket.recv(65536)
            assert data, "the server has ended the connection"
            for event in self.h2.receive_data(self.without_goodbyes(data)):
                if isinstance(event, h2.events.ResponseReceived):
                    self.heads[event.stream_id] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    self.ended.add(event.stream_id)
            self.flush()

    def without_goodbyes(self, data):
        """Whole frames, but GOAWAY: behind it the library takes no more of the streams that are open (RFC 9113 6.8)."""
        self.unread += data
        whole = b""
        while len(self.unread) >= 9 and len(self.unread) >= (n := 9 + int.from_bytes(self.unread[:3], "big")):
            whole += b"" if self.unread[3] == GOAWAY else self.unread[:n]
            self.unread = self.unread[n:]
        return whole

    def begin(self, path, behind=b"", ends=False, **more):
        """Sends a request, and what stands behind its head."""
        one = self.h2.get_next_available_stream_id()
        headers = {":method": "GET", ":scheme": "https", ":authority": f"127.0.0.1:{self.port}", ":path": path, **more}
        self.h2.send_headers(one, list(headers.items()), end_stream=ends)
        if behind:
            self.h2.send_data(one, behind)
        self.flush()
        return one

    def head(self, one):
        """What the request was answered with."""
        self.until(lambda: one in self.heads or one in self.ended)
        return self.heads[one]

    def ask(self, path):
        one = self.begin(path, ends=True)
        return one, self.head(one)

    def open(self, path, behind=b"", **more):
        one = self.begin(path, behind, **{**TUNNEL, **more})
        return one, self.head(one)

    def send(self, one, data):
        self.h2.send_data(one, data)
        self.flush()

    def receive(self, one, n):
        self.until(lambda: len(self.data.get(one, b"")) >= n or one in self.ended)
        taken, self.data[one] = self.data[one][:n], self.data[one][n:]
        return taken

    def until_ended(self, one):
        self.until(lambda: one in self.ended)

    def close(self, one):
        self.send(one, closing(1000))
        assert self.receive(one, 4) == b"\x88\x02\x03\xe8"
        self.until_ended(one)

    def __enter__(self):
        self.until(lambda: self.h2.remote_settings.enable_connect_protocol)
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.fixture(scope="module", params=["event", "worker"])
def server(request, certificate):
    """Shared by the tests of this module, which leave it running."""
    options = f"{HTTP2}{ONE_CHILD}{echo()}<Location /small>\nSetHandler linkspan\nLinkspanHandler echo\n" \
              "LinkspanMaxMessageSize 10\n</Location>\n<Location /locked>\nSetHandler linkspan\n" \
              "LinkspanHandler echo\nRequire all denied\n</Location>\n"
    with running(certificate, options, mpm=request.param, tls=TLS) as started:
        yield started


@pytest.fixture
def browser(server):
    with Browser(server) as one:
        yield one


def test_a_stream_is_a_websocket(browser):
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
    browser.close(one)
    assert browser.ask("/index.html")[1][":status"] == "200"
    browser.send(two, frame(TEXT, b"still"))
    assert browser.receive(two, 7) == b"\x81\x05still"


def test_what_comes_before_the_answer_waits_for_it(browser):
    """Frames that stand right behind the request are there before the socket is: nothing else will wake it."""
    for _ in range(20):
        one, head = browser.open("/echo", frame(TEXT, b"hello") + frame(TEXT, b"again"))
        assert head[":status"] == "200"
        assert browser.receive(one, 14) == b"\x81\x05hello\x81\x05again"
        browser.close(one)


def test_streams_above_what_mod_http2_runs_at_once_have_their_turn(server, browser):
    """Each holds a thread of mod_http2, which gives a connection few of them."""
    streams = [browser.begin("/echo", frame(TEXT, b"%02d" % i), **TUNNEL) for i in range(12)]
    assert browser.head(streams[0])[":status"] == "200"
    for _ in range(20):
        assert ask(server, "/index.html", tls=True)[0] == 200
    assert len(browser.heads) < len(streams)
    for i, one in enumerate(streams):
        assert browser.head(one)[":status"] == "200"
        assert browser.receive(one, 4) == b"\x81\x02%02d" % i
        browser.close(one)


def test_each_stream_has_its_own_limits(browser):
    one, two = browser.open("/small")[0], browser.open("/echo")[0]
    browser.send(one, frame(TEXT, b"x" * 11))
    assert browser.receive(one, 4)[2:] == b"\x03\xf1"
    browser.until_ended(one)
    browser.send(two, frame(TEXT, b"x" * 100))
    assert browser.receive(two, 102)[2:] == b"x" * 100
    browser.close(two)


def test_a_refusal_is_an_ordinary_answer(browser):
    assert browser.open("/locked")[1][":status"] == "403"
    assert browser.open("/echo", origin="https://elsewhere.example")[1][":status"] == "403"
    head = browser.open("/echo", **{"sec-websocket-version": "12"})[1]
    assert head[":status"], head["sec-websocket-version"] == ("400", "13")
    # No WebSocket is spoken there, which mod_http2 says.
    assert browser.open("/index.html")[1][":status"] == "502"
    one = browser.open("/echo")[0]
    browser.close(one)


def test_a_stream_that_has_ended_with_its_head_is_a_socket_that_has_ended(server, browser):
    one = browser.begin("/echo", ends=True, **TUNNEL)
    browser.until_ended(one)
    two = browser.open("/echo")[0]
    browser.close(two)
    assert "can not be carried" not in server.errors()


def test_a_stream_that_is_reset_ends_alone(server, browser):
    one, two = browser.open("/echo")[0], browser.open("/echo")[0]
    before = len(unclean(server))
    browser.send(one, frame(TEXT, b"all of it") + frame(TEXT, b"half of it")[:9])
    assert browser.receive(one, 11)[2:] == b"all of it"
    browser.h2.reset_stream(one)
    browser.flush()
    browser.send(two, frame(TEXT, b"still"))
    assert browser.receive(two, 7) == b"\x81\x05still"
    wait_for(lambda: len(unclean(server)) > before, 30, "the socket goes on without its stream")
    assert "in=1/9 " in unclean(server)[-1]
    browser.close(two)


def test_a_close_and_the_streams_end_may_come_at_once(browser):
    one = browser.open("/echo")[0]
    browser.h2.send_data(one, closing(1000), end_stream=True)
    browser.flush()
    assert browser.receive(one, 4) == b"\x88\x02\x03\xe8"
    browser.until_ended(one)


def test_streams_count_as_sockets(apache):
    server = apache(HTTP2 + ONE_CHILD + "LinkspanMaxConnections 2\n" + echo(), tls=TLS)
    with Browser(server) as browser:
        one, two = browser.open("/echo")[0], browser.open("/echo")[0]
        head = browser.open("/echo")[1]
        assert (head[":status"], head["retry-after"]) == ("503", "5")
        browser.close(one)
        wait_for(lambda: browser.open("/echo")[1][":status"] == "200", 30, "the place is not given back")
        browser.send(two, frame(TEXT, b"still"))
        assert browser.receive(two, 7) == b"\x81\x05still"


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_a_child_that_goes_closes_its_streams(apache, mpm):
    server = apache(HTTP2 + echo(), mpm=mpm, tls=TLS)
    with Browser(server) as browser:
        streams = [browser.open("/echo")[0] for _ in range(4)]
        old = server.children()
        server.signal(signal.SIGUSR1)
        for one in streams:
            assert browser.receive(one, 4) == b"\x88\x02\x03\xe9"
            browser.send(one, closing(1001))
        for one in streams:
            browser.until_ended(one)
    wait_for(lambda: not set(old) & set(server.children()), 20, "an old child is still there")


def unclean(server):
    return [line for line in server.accesses() if "clean=no" in line]
