"""Programs that have the server inside, each in the way that some in the field have: by options, by subclass, by copy."""

import contextlib
import functools
import http.server
import socket
import socketserver
import ssl
import threading

import pytest
from conftest import ECHO, PATIENCE, Client, close, head, text

from mod_pywebsocket import dispatch, standalone, util
from mod_pywebsocket.request_handler import WebSocketRequestHandler
from mod_pywebsocket.websocket_server import WebSocketServer


def connect(port, context=None):
    sock = socket.create_connection(('127.0.0.1', port), PATIENCE)
    return Client(sock if context is None else context.wrap_socket(sock, server_hostname='localhost'))


def echoes(port, resource='/echo', context=None):
    with connect(port, context) as client:
        client.upgrade(resource)
        client.send(text('hi') + close(1000))
        # At the end of the connection its handler has ended.
        return client.read_all() == b'\x81\x02hi\x88\x02\x03\xe8'


@contextlib.contextmanager
def running(server):
    """The server on a thread, until the end of the block."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


# By options.


def test_a_test_runner_starts_and_stops_it_again_on_the_same_port(tmp_path, certificates, trusting):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    tls = ['--tls', '--private-key', certificates['server_key'], '--certificate', certificates['server']]
    for more, context in (([], None), (tls, trusting)):
        port = '0'
        for _ in range(3):
            options, rest = standalone._parse_args_and_config(
                ['-p', port, '-d', str(tmp_path), '-w', str(tmp_path), '-H', 'localhost', *more])
            assert rest == []
            options.cgi_directories = []
            options.is_executable_method = None
            server = standalone.WebSocketServer(options)
            ports = [item[0].getsockname()[1] for item in server._sockets]
            assert ports and set(ports) == {ports[0]}
            port = str(ports[0])
            with running(server), connect(ports[0], context) as still_open:
                still_open.upgrade()
                assert echoes(ports[0], context=context)


def test_options_may_be_bare_and_change_late(tmp_path, certificates, trusting):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)

    class Options:
        def __init__(self):
            self.dispatcher = 'replaced'
            self.websock_handlers = self.scan_dir = self.document_root = str(tmp_path)
            self.websock_handlers_map_file = None
            self.allow_handlers_outside_root_dir = False
            self.server_host, self.port = '127.0.0.1', 0
            self.request_queue_size = 5
            self.use_tls = True
            self.private_key, self.certificate = certificates['server_key'], certificates['server']
            self.tls_client_auth, self.tls_client_ca, self.tls_module = False, '', 'ssl'
            self.use_basic_auth, self.basic_auth_credential = False, None
            self.cgi_directories, self.is_executable_method = [], None
            self.log_level = self.log_file = None

    options = Options()
    server = WebSocketServer(options)
    assert isinstance(options.dispatcher, dispatch.Dispatcher)
    with running(server) as port:
        assert echoes(port, context=trusting)
        options.use_basic_auth, options.basic_auth_credential = True, 'Basic dGVzdDp0ZXN0'
        with connect(port, trusting) as client:
            client.send(head())
            assert client.read_head().startswith(b'HTTP/1.0 401 ')
        with connect(port, trusting) as client:
            client.upgrade('/echo', Authorization='Basic dGVzdDp0ZXN0')


class Greeting:
    """A suite that is no file."""

    def do_extra_handshake(self, request):
        request.greeting = 'hello'

    def transfer_data(self, request):
        request.ws_stream.send_message(request.greeting)
        request.ws_stream.receive_message()

    def passive_closing_handshake(self, request):
        return 3000, 'over'


class OwnDispatcher(dispatch.Dispatcher):
    """Without the base class's constructor."""

    def __init__(self):
        self._logger = util.get_class_logger(self)
        self._handler_suite_map = {'/greeting': Greeting()}
        self._source_warnings = []


def greets(port):
    with connect(port) as client:
        client.upgrade('/greeting')
        said = client.read_frame()
        client.send(close())
        return said == (0x81, b'hello') and client.read_frame() == (0x88, b'\x0b\xb8over')


def test_a_dispatcher_of_ones_own(embed):
    server = embed()
    server.websocket_server_options.dispatcher = OwnDispatcher()
    assert greets(server.server_port)


# By subclass.


class OwnConstructor(WebSocketServer):
    """Without the base class's constructor, step by step as that one does it."""

    def __init__(self, options):
        self._logger = util.get_class_logger(self)
        self.request_queue_size = options.request_queue_size
        self.websocket_server_options = options
        options.dispatcher = OwnDispatcher()
        socketserver.BaseServer.__init__(self, (options.server_host, options.port), WebSocketRequestHandler)
        self._create_sockets()
        self.server_bind()
        self.server_activate()


def test_a_constructor_that_does_every_step_itself(embed, certificates, trusting):
    assert greets(embed(OwnConstructor).server_port)
    server = embed(OwnConstructor, use_tls=True, certificate=certificates['server'],
                   private_key=certificates['server_key'])
    with connect(server.server_port, trusting) as client:
        client.upgrade('/greeting')


def test_the_steps_of_listening_may_be_taken_again(embed):
    """Another address after construction, on sockets made anew."""
    server = embed()
    before = server.server_port
    server.shutdown()
    server.server_close()
    server.server_address = ('127.0.0.1', 0)
    server._create_sockets()
    server.server_bind()
    server.server_activate()
    assert server.server_port not in (0, before)
    with running(server) as port:
        assert port == server.server_port and echoes(port)


class OneSocket(WebSocketServer):
    """Listens where its owner says, with an option of its own."""

    def _create_sockets(self):
        self.server_name, self.server_port = self.server_address
        self._sockets = [(socket.socket(), (socket.AF_INET, socket.SOCK_STREAM, 6, '', (self.server_name, 0)))]

    def server_bind(self):
        for socket_, _ in self._sockets:
            socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            socket_.bind((self.server_name, self.server_port))
            self.server_address = socket_.getsockname()
            self.server_port = self.server_address[1]

    def server_activate(self):
        for socket_, _ in self._sockets:
            socket_.listen(self.request_queue_size)


class OwnTls(OneSocket):
    """With Python's TLS around the listening socket."""

    context = None

    def server_activate(self):
        (socket_, info), = self._sockets
        super().server_activate()
        self._sockets = [(self.context.wrap_socket(socket_, server_side=True), info)]


def test_listening_in_ones_own_way(embed, certificates, trusting):
    assert echoes(embed(OneSocket).server_port)
    OwnTls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    OwnTls.context.load_cert_chain(certificates['server'], certificates['server_key'])
    assert echoes(embed(OwnTls).server_port, context=trusting)


def step(name):
    """A server that overrides this step and takes the base class's."""
    taken = []

    def method(self, *arguments):
        taken.append(arguments)
        return getattr(WebSocketServer, name)(self, *arguments)

    return type('Overrides', (WebSocketServer,), {name: method}), taken


@pytest.mark.parametrize('name', [
    'get_request', 'verify_request', 'process_request', 'process_request_thread', 'finish_request', 'shutdown_request',
    'close_request', 'service_actions', 'handle_error', '_handle_request_noblock', '_create_sockets', 'server_bind',
    'server_activate',
])
def test_a_step_may_be_overridden(embed, name, tmp_path):
    (tmp_path / 'fails_wsh.py').write_text(ECHO.replace('pass', 'request.connection.read = None'))
    server_class, taken = step(name)
    server = embed(server_class)
    for _ in range(2):
        with connect(server.server_port) as client:
            client.upgrade()
            client.send(text('hi') + close())
            assert client.read_all() == b'\x81\x02hi\x88\x02\x03\xe8'
    if name == 'handle_error':
        with connect(server.server_port) as client:
            client.upgrade('/fails')
            assert client.read_all() == b''
    assert taken


def test_a_connection_may_be_refused_before_it_is_read(embed):
    class Choosy(WebSocketServer):
        def verify_request(self, request, client_address):
            return False

    with connect(embed(Choosy).server_port) as client:
        assert client.read_all() == b''


def test_each_connection_may_have_another_handler(embed):
    class Redirecting(WebSocketRequestHandler):
        def parse_request(self):
            parsed = WebSocketRequestHandler.parse_request(self)
            heads.append((self.path, self.headers['Host']))
            return parsed

        def log_request(self, code='-', size='-'):
            codes.append(code)

        def do_GET(self):
            self.send_response(200)
            self.send_header('X-Mine', '1')
            self.end_headers()
            self.wfile.write(b'mine')

    class Server(WebSocketServer):
        def finish_request(self, request, client_address):
            Redirecting(request, client_address, self)

    heads, codes = [], []
    late = embed()
    late.RequestHandlerClass = Redirecting
    for server in (embed(Server), late):
        assert echoes(server.server_port)
        with connect(server.server_port) as client:
            client.send(head('/page', drop=['Upgrade']))
            assert client.read_all().endswith(b'\r\nX-Mine: 1\r\n\r\nmine')
    assert heads == [('/echo', 'localhost'), ('/page', 'localhost')] * 2
    assert codes == [200] * 2


def test_what_makes_handlers_may_be_any_callable(embed):
    class Meta(type):
        def __call__(cls, *arguments):
            seen.append('metaclass')
            return super().__call__(*arguments)

    class Metered(WebSocketRequestHandler, metaclass=Meta):
        pass

    class Chosen(WebSocketRequestHandler):
        def __new__(cls, request, client_address, server):
            seen.append('new')
            return super().__new__(cls)

    class Named(WebSocketRequestHandler):
        def __init__(self, name, *arguments):
            seen.append(name)
            super().__init__(*arguments)

    seen = []
    server = embed()
    for maker in (Metered, Chosen, functools.partial(Named, 'partial')):
        server.RequestHandlerClass = maker
        assert echoes(server.server_port)
    assert seen == ['metaclass', 'new', 'partial']


def test_a_handler_that_wraps_its_files(embed):
    seen = []

    class Wrapping(WebSocketRequestHandler):
        def setup(self):
            WebSocketRequestHandler.setup(self)
            write = self.wfile.write

            class Recorder:
                def __init__(self, inner):
                    self.inner = inner

                def __getattr__(self, name):
                    return getattr(self.inner, name)

                def write(self, data):
                    seen.append(bytes(data))
                    return write(data)

            self.wfile = Recorder(self.wfile)

    server = embed()
    server.RequestHandlerClass = Wrapping
    with connect(server.server_port) as client:
        client.send(head('/none', drop=['Upgrade']))
        assert client.read_all().startswith(b'HTTP/1.0 404 ')
    assert seen and b'HTTP/1.0 404 ' in b''.join(seen)


# By copy.


class CopiedServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server that only borrows the request handler."""

    daemon_threads = True

    def __init__(self, options):
        self.websocket_server_options = options
        options.dispatcher = OwnDispatcher()
        http.server.HTTPServer.__init__(self, ('127.0.0.1', 0), WebSocketRequestHandler)


def test_a_copy_of_the_server_may_use_the_handler(tmp_path):
    options, _ = standalone._parse_args_and_config(['-d', str(tmp_path)])
    options.cgi_directories, options.is_executable_method = [], None
    with running(CopiedServer(options)) as port:
        assert greets(port)
        with connect(port) as client:
            client.send(head('/none', drop=['Upgrade']))
            assert client.read_all().startswith(b'HTTP/1.0 404 ')
