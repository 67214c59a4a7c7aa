"""What the tests share: servers, in a process of their own or in a thread, and certificates."""

import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

import pytest
from streams import loop, make  # noqa: F401 - fixtures

# Tests import these from here.
from raw import ACCEPT, KEY, Client, close, head, masked, text

# How long anything may take before a test fails, in seconds.
PATIENCE = 20


class Server:
    """The stand-alone server in a process of its own."""

    def __init__(self, directory, *options, module='mod_pywebsocket.standalone', program=None):
        """``program`` are the arguments of another one, which starts the server."""
        self.log_path = directory / 'server.log'
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, *(program or ['-m', module]), '-p', '0', '-H', 'localhost', '-w', str(directory),
                 '-d', str(directory), *options],
                stdout=subprocess.PIPE, stderr=log,
                # A shell's background job is born deaf to Ctrl-C, and so would its children be.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        line = self.process.stdout.readline().decode()
        assert line, self.log()
        self.port = int(line.rstrip('/\n').rpartition(':')[2])

    def log(self):
        return self.log_path.read_text(errors='replace')

    def connect(self, context=None):
        sock = socket.create_connection(('localhost', self.port), timeout=PATIENCE)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname='localhost')
        return Client(sock)

    def exchange(self, data):
        """Sends bytes, ends the stream, and gives all that comes back."""
        with self.connect() as client:
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            return client.read_all()

    def answer(self, data):
        """Sends a request and gives all that comes back until the server ends the connection."""
        with self.connect() as client:
            client.send(data)
            return client.read_all()

    def stop(self, signal=None):
        """Ends the process and gives its status."""
        if signal is not None:
            self.process.send_signal(signal)
        else:
            self.process.kill()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return status


@pytest.fixture
def readable_path():
    """A directory that every user may read, which none below pytest's own is for long."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture
def start(tmp_path):
    """``start({'echo': source, ...}, '--option', ...)``: a server with these handlers, ended after the test."""
    servers = []

    def start_server(handlers, *options, **settings):
        for name, source in handlers.items():
            (tmp_path / (name + '_wsh.py')).write_text(source)
        servers.append(Server(tmp_path, *options, **settings))
        return servers[-1]

    yield start_server
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def as_async(source):
    """The same handler with ``async`` hooks."""
    source = re.sub(r'^def web_socket_', 'async def web_socket_', source, flags=re.MULTILINE)
    # What a lambda gives is awaited by who calls it.
    return re.sub(r'(?<!body: )((request\.ws_stream|msgutil)\.(receive|send|close)_(message|ping|connection)\()',
                  r'await \1', source)


def serve_module(handlers, *options, also_async=False):
    """A fixture for a whole test module: one server with these handlers, then perhaps one with them as async."""

    @pytest.fixture(scope='module', params=['sync', 'async'] if also_async else ['sync'])
    def server(request, tmp_path_factory):
        directory = tmp_path_factory.mktemp('handlers')
        for name, source in handlers.items():
            (directory / (name + '_wsh.py')).write_text(as_async(source) if request.param == 'async' else source)
        server = Server(directory, *options)
        yield server
        server.stop()

    return server


ECHO = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        request.ws_stream.send_message(message, binary=isinstance(message, bytes))
'''


class Wrapped:
    """A socket as somebody hands it on who has wrapped it."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.fixture
def embed(tmp_path):
    """``embed(class, handlers, **options)``: that server, with these handlers beside an echo, running in a thread."""
    running = []
    (tmp_path / 'echo_wsh.py').write_text(ECHO)

    def embed_server(server_class=None, handlers=None, **changes):
        from mod_pywebsocket import standalone
        for name, source in (handlers or {}).items():
            (tmp_path / (name + '_wsh.py')).write_text(source)
        options, rest = standalone._parse_args_and_config(
            ['-p', '0', '-H', '127.0.0.1', '-w', str(tmp_path), '-d', str(tmp_path)])
        assert rest == []
        options.cgi_directories = []
        options.is_executable_method = None
        for name, value in changes.items():
            setattr(options, name, value)
        server = (server_class or standalone.WebSocketServer)(options)
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        running.append((server, thread))
        return server

    yield embed_server
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture(scope='session')
def certificates(tmp_path_factory):
    """Paths of a certificate for localhost and its key, of a client's, and of who signed both."""
    import trustme
    directory = tmp_path_factory.mktemp('certificates')
    authority = trustme.CA()
    paths = {'ca': directory / 'ca.pem'}
    authority.cert_pem.write_to_path(paths['ca'])
    for name, issued in (('server', authority.issue_cert('localhost')), ('client', authority.issue_cert('me@here'))):
        paths[name] = directory / (name + '.pem')
        paths[name + '_key'] = directory / (name + '.key')
        for index, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(paths[name], append=index > 0)
        issued.private_key_pem.write_to_path(paths[name + '_key'])
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def trusting(certificates):
    """A client's TLS context that trusts the server's certificate."""
    return ssl.create_default_context(cafile=certificates['ca'])
