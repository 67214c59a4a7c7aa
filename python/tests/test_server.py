"""The server inside of somebody else's program, and the two names of its modules."""

import importlib
import socket
import threading

import pytest
from conftest import PATIENCE, Client, Wrapped, head, text

from mod_pywebsocket import standalone
from mod_pywebsocket.websocket_server import WebSocketServer


def connect(server):
    address = server._sockets[0][0].getsockname()
    assert address[1] == server.server_port == server.server_address[1]
    return Client(socket.create_connection(address[:2], PATIENCE))


def echoes(server):
    with connect(server) as client:
        client.upgrade()
        client.send(text('hi'))
        return client.read_frame() == (0x81, b'hi')


def test_a_server_in_a_thread(embed):
    server = embed()
    assert echoes(server)
    assert server.websocket_server_options.dispatcher.get_handler_suite('/echo')


def test_options_are_read_for_each_request(embed):
    server = embed()
    assert echoes(server)
    server.websocket_server_options.use_basic_auth = True
    server.websocket_server_options.basic_auth_credential = 'Basic x'
    with connect(server) as client:
        client.send(head())
        assert client.read_head().startswith(b'HTTP/1.0 401 ')


def test_options_may_be_bare(embed, tmp_path):
    class Options:
        websock_handlers = scan_dir = str(tmp_path)
        allow_handlers_outside_root_dir = False
        websock_handlers_map_file = None
        request_queue_size = 128
        server_host = '127.0.0.1'
        port = 0
        use_tls = use_basic_auth = False
        cgi_directories = []
        is_executable_method = None

    server = WebSocketServer(Options())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert echoes(server)
    server.shutdown()
    server.server_close()
    thread.join()


def test_open_connections_survive_a_shutdown(embed):
    server = embed()
    with connect(server) as client:
        client.upgrade()
        server.shutdown()
        client.send(text('still here'))
        assert client.read_frame() == (0x81, b'still here')
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    assert echoes(server)
    server.shutdown()
    thread.join()


def test_an_overridden_step_is_taken(embed):
    calls = []

    class Mine(WebSocketServer):
        def verify_request(self, request, client_address):
            calls.append(client_address[0])
            return True

        def get_request(self):
            request, address = super().get_request()
            assert isinstance(request, socket.socket)
            return request, address

    assert echoes(embed(Mine))
    assert calls == ['127.0.0.1']


def test_tls_works_step_by_step_too(embed, certificates, trusting):
    class Mine(WebSocketServer):
        def verify_request(self, request, client_address):
            return True

    for server_class in (WebSocketServer, Mine):
        server = embed(server_class, use_tls=True, certificate=certificates['server'],
                       private_key=certificates['server_key'])
        with connect(server) as client:
            client.sock = trusting.wrap_socket(client.sock, server_hostname='localhost')
            client.upgrade()
            client.send(text('hi'))
            assert client.read_frame() == (0x81, b'hi')


def test_a_wrapped_socket_is_used_as_it_is(embed):
    class Mine(WebSocketServer):
        def get_request(self):
            request, address = super().get_request()
            return Wrapped(request), address

    assert echoes(embed(Mine))


def test_the_default_host_is_every_address(embed):
    server = embed(server_host='')
    port = server.server_port
    for host in ('127.0.0.1', '::1'):
        with Client(socket.create_connection((host, port), PATIENCE)) as client:
            client.upgrade()


def test_the_raw_socket_can_be_reached(embed, tmp_path):
    (tmp_path / 'raw_wsh.py').write_text('''
import socket

def web_socket_do_extra_handshake(request):
    raw = request._request_handler.connection
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert raw.getpeername() == request._request_handler.client_address == request.connection.remote_addr
    assert raw.fileno() > 0 and raw.getsockname()[0] == '127.0.0.1'
    raw.settimeout(5)
    assert raw.gettimeout() == 5

def web_socket_transfer_data(request):
    request._request_handler.connection.sendall(b'raw')
    request._request_handler.connection.settimeout(0.01)
    request.ws_stream.receive_message()
''')
    server = embed()
    with connect(server) as client:
        client.upgrade('/raw')
        assert client.read_all() == b'raw'


@pytest.mark.parametrize('name', [
    'common', 'util', 'http_header_util', 'memorizingfile', '_stream_exceptions', 'stream', 'msgutil', 'extensions',
    'handshake', 'handshake.base', 'handshake._base', 'handshake.hybi', 'dispatch', 'request_handler',
    'websocket_server', 'server_util', 'standalone', '_stream_base', '_stream_hybi',
])
def test_both_names_are_one_module(name):
    ours = importlib.import_module('mod_pywebsocket.' + name)
    theirs = importlib.import_module('pywebsocket3.' + name)
    assert theirs is ours
    parent, _, child = ('pywebsocket3.' + name).rpartition('.')
    assert getattr(importlib.import_module(parent), child) is ours


def test_frames_are_made_by_the_stream_module():
    from mod_pywebsocket import stream
    from pywebsocket3 import stream as theirs
    for name in ('Frame', 'FragmentedFrameBuilder', 'create_length_header', 'create_header', 'create_binary_frame',
                 'create_text_frame', 'create_ping_frame', 'create_pong_frame', 'create_close_frame',
                 'create_closing_handshake_body', 'parse_frame', '_build_frame', '_create_control_frame',
                 '_filter_and_format_frame_object'):
        assert getattr(stream, name) is getattr(theirs, name)
    assert stream.create_header(1, 0, 1, 0, 0, 0, False) == b'\x81\0'


def test_names_that_lived_elsewhere():
    from mod_pywebsocket import _stream_base, _stream_hybi, stream
    from mod_pywebsocket.handshake import _base, base
    assert _stream_base.ConnectionTerminatedException is stream.ConnectionTerminatedException
    assert _stream_hybi.Stream is stream.Stream
    assert _base.HandshakeException is base.HandshakeException
    assert standalone.WebSocketServer is WebSocketServer


def test_aliases_agree_in_whatever_order_they_are_imported():
    import subprocess
    import sys
    for first, second in (('pywebsocket3', 'mod_pywebsocket'), ('mod_pywebsocket', 'pywebsocket3')):
        code = ('from {0}.handshake.base import HandshakeException as a\n'
                'from {1}.handshake import HandshakeException as b\n'
                'from {1}.handshake.base import HandshakeException as c\n'
                'import {0}.handshake.hybi, {1}.handshake.hybi\n'
                'assert a is b is c and {0}.handshake.hybi is {1}.handshake.hybi\n').format(first, second)
        subprocess.run([sys.executable, '-c', code], check=True)
