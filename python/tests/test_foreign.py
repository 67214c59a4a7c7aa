"""Streams and handshakes over connections that are not ours: HTTP/2 inside of somebody's web server, a client's socket."""

import base64
import io
import os
import queue
import socket
import threading
import zlib

import pytest
from conftest import ECHO, PATIENCE, close, masked, serve_module, text

from mod_pywebsocket import common, dispatch, stream
from mod_pywebsocket.extensions import PerMessageDeflateExtensionProcessor
from mod_pywebsocket.handshake import AbortedByUserException, HandshakeException, base, hybi

HANDLER = '''
from mod_pywebsocket import msgutil
from mod_pywebsocket.handshake import AbortedByUserException

def web_socket_do_extra_handshake(request):
    if request.ws_resource.endswith('?refused'):
        request.status = 401
        request.headers_out['www-authenticate'] = 'Basic'
        raise AbortedByUserException('who is there?')
    request.ws_protocol = 'p'
    request.extra_headers.append(('x-host', request.headers_in.get('authority')))
    assert request.protocol == 'HTTP/2' and not hasattr(request, 'ws_stream')

def web_socket_transfer_data(request):
    request.on_ping_handler = None
    while True:
        message = msgutil.receive_message(request)
        if message is None:
            return
        if message == 'raw':
            request.connection.write(b'\\x81\\x03raw')
        msgutil.send_message(request, message, binary=isinstance(message, bytes))

def web_socket_passive_closing_handshake(request):
    return request.ws_close_code, 'seen ' + request.ws_close_reason
'''


class Pipe:
    """The data of one HTTP/2 stream: ``read`` gives all that was asked for, and waits until it is there."""

    def __init__(self):
        self._frames = queue.Queue()
        self._buffer = b''
        self.sent = queue.Queue()

    def feed(self, data):
        self._frames.put(data)

    def read(self, length):
        assert length > 0
        while len(self._buffer) < length:
            data = self._frames.get(timeout=PATIENCE)
            if not data:
                return b''
            self._buffer += data
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def write(self, data):
        self.sent.put(bytes(data))


class StreamConnection:
    """What a web server hands out as ``request.connection``."""

    remote_addr = ('2001:db8::1', 1)

    def __init__(self, pipe):
        self.read, self.write = pipe.read, pipe.write


class StreamRequest:
    """A web server's own request, with slots for all that a handshake writes and no base class of ours."""

    protocol = 'HTTP/2'
    method = 'CONNECT'

    def __init__(self, uri, headers, pipe):
        self.uri = self.unparsed_uri = uri
        self.headers_in = headers
        self.headers_out = {}
        self.status = None
        self.connection = StreamConnection(pipe)

    def is_https(self):
        return True


class StreamHandshaker(base.HandshakerBase):
    """RFC 8441: the handshake is HTTP/2's, so there is no key."""

    def _protocol_rfc(self):
        return 'RFC 8441'

    def _transform_header(self, header):
        return header.lower()

    def _validate_request(self):
        base.validate_mandatory_header(self._request, ':protocol', 'websocket')
        base.get_mandatory_header(self._request, 'authority')

    def _set_accept(self):
        pass

    def _send_handshake(self):
        request = self._request
        request.status = 200
        request.headers_out['sec-websocket-protocol'] = request.ws_protocol
        if request.ws_extensions:
            request.headers_out['sec-websocket-extensions'] = common.format_extensions(request.ws_extensions)
        request.headers_out.update(request.extra_headers)


class WebServer:
    """Serves the handlers of a directory on its own streams, one thread each."""

    def __init__(self, root):
        self.root = root
        self.threads = []

    def open(self, uri, **headers):
        pipe = Pipe()
        fields = {':protocol': 'websocket', 'authority': 'h.example', 'sec-websocket-version': '13',
                  'sec-websocket-protocol': 'p'}
        fields.update({name.replace('_', '-'): value for name, value in headers.items()})
        request = StreamRequest(uri, fields, pipe)
        # A new one for each stream, as web-platform-tests makes them.
        dispatcher = dispatch.Dispatcher(str(self.root), None, False)
        if not dispatcher.get_handler_suite(request.uri):
            request.status = 404
            return request, pipe
        try:
            StreamHandshaker(request, dispatcher).do_handshake()
        except HandshakeException as e:
            request.status = e.status or 400
            return request, pipe
        except AbortedByUserException:
            return request, pipe
        request._dispatcher = dispatcher
        self.threads.append(threading.Thread(target=dispatcher.transfer_data, args=(request,)))
        self.threads[-1].start()
        return request, pipe


@pytest.fixture
def web_server(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(HANDLER)
    server = WebServer(tmp_path)
    yield server
    for thread in server.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def sent(pipe):
    return pipe.sent.get(timeout=PATIENCE)


def test_a_stream_of_http_2_is_a_websocket(web_server):
    request, pipe = web_server.open('/echo?q')
    assert request.status == 200
    assert request.headers_out == {'sec-websocket-protocol': 'p', 'x-host': 'h.example'}
    # A frame arrives as data frames cut it.
    for byte in text('hello'):
        pipe.feed(bytes([byte]))
    assert sent(pipe) == b'\x81\x05hello'
    pipe.feed(masked(0x82, b'x' * 70000) + masked(0x89, b'p') + text(''))
    assert sent(pipe) == b'\x82\x7f' + (70000).to_bytes(8, 'big') + b'x' * 70000
    assert sent(pipe) == b'\x8a\x01p'
    assert sent(pipe) == b'\x81\x00'
    pipe.feed(text('raw'))
    assert sent(pipe) == sent(pipe) == b'\x81\x03raw'
    pipe.feed(close(3000, 'over'))
    assert sent(pipe) == b'\x88\x0b\x0b\xb8seen over'


def test_a_stream_of_http_2_is_compressed(web_server):
    request, pipe = web_server.open('/echo', sec_websocket_extensions='permessage-deflate; client_max_window_bits')
    assert request.headers_out['sec-websocket-extensions'] == 'permessage-deflate'
    deflater, inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    for message in (b'again and again ' * 9, b'again'):
        data = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        pipe.feed(masked(0xc1, data))
        frame = sent(pipe)
        assert frame[0] == 0xc1 and frame[1] == len(frame) - 2 < len(message) + 2
        assert inflater.decompress(frame[2:] + b'\0\0\xff\xff') == message
    pipe.feed(close(1000))
    assert sent(pipe) == b'\x88\x07\x03\xe8seen '


@pytest.mark.parametrize('data', [b'', text('hello')[:1], text('hello')[:-1], text('part', fin=False)])
def test_a_stream_of_http_2_may_end_anywhere(web_server, data, caplog):
    with caplog.at_level('DEBUG'):
        _, pipe = web_server.open('/echo')
        for chunk in (data, b''):
            pipe.feed(chunk)
            if not data:
                break
        web_server.threads[0].join(PATIENCE)
    assert pipe.sent.empty()
    assert 'ended the connection' in caplog.text and not [r for r in caplog.records if r.levelname == 'ERROR']


@pytest.mark.parametrize('uri, headers, status', [
    ('/none', {}, 404), ('/echo?refused', {}, 401), ('/echo', {':protocol': 'other'}, 400),
    ('/echo', {'sec_websocket_protocol': ''}, 400),
])
def test_a_stream_of_http_2_is_refused_with_its_status(web_server, uri, headers, status):
    request, pipe = web_server.open(uri, **headers)
    assert request.status == status and pipe.sent.empty()


def test_a_request_of_other_kind_without_a_dispatcher():
    """Not even the hooks: the close is answered by 1000."""
    pipe = Pipe()
    request = StreamRequest('/x', {}, pipe)
    request.ws_version = common.VERSION_HYBI_LATEST
    ws_stream = stream.Stream(request, stream.StreamOptions())
    pipe.feed(text('a') + close(3000, 'r'))
    assert [ws_stream.receive_message() for _ in range(2)] == ['a', None]
    assert sent(pipe) == b'\x88\x02\x03\xe8'
    assert (request.ws_close_code, request.ws_close_reason) == (3000, 'r')


# A client.


server = serve_module({'echo': ECHO})


class SocketWrapper:
    """A client's connection, over a file of its socket as some have it."""

    def __init__(self, sock):
        self._socket = sock
        self._file = io.BufferedReader(sock.makefile('rb', 0), 4096)
        self.remote_addr = sock.getpeername()

    def write(self, data):
        return self._socket.sendall(data)

    def read(self, length):
        # Unlike a socket: it waits for all of it.
        return self._file.read(length)

    def get_remote_addr(self):
        return self._socket.getpeername()


class ClientRequest:
    ws_version = common.VERSION_HYBI_LATEST

    def __init__(self, connection):
        self.connection = connection


@pytest.fixture
def client(server):
    """``client(offer)``: the stream of a client of the echo server, and its socket."""
    sockets = []

    def open_client(offer=None):
        sock = socket.create_connection(('localhost', server.port), PATIENCE)
        sockets.append(sock)
        connection = SocketWrapper(sock)
        key = base64.b64encode(os.urandom(16))
        lines = ['GET /echo HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
                 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' + key.decode()]
        if offer:
            lines.append('Sec-WebSocket-Extensions: ' + offer)
        connection.write(('\r\n'.join(lines) + '\r\n\r\n').encode())
        answer = b''
        while not answer.endswith(b'\r\n\r\n'):
            answer += connection.read(1)
        assert b'\r\nSec-WebSocket-Accept: ' + hybi.compute_accept(key) + b'\r\n' in answer
        options = stream.StreamOptions()
        options.mask_send, options.unmask_receive = True, False
        if offer:
            processor = PerMessageDeflateExtensionProcessor(common.ExtensionParameter('permessage-deflate'))
            assert processor.get_extension_response() is not None
            processor.setup_stream_options(options)
        return stream.Stream(ClientRequest(connection), options), sock

    yield open_client
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize('offer', [None, 'permessage-deflate'])
def test_a_stream_is_a_client_too(client, offer):
    ws_stream, _ = client(offer)
    for message in ('hello', '', 'é' * 40000, b'\x00\xff' * 500):
        binary = isinstance(message, bytes)
        ws_stream.send_message(message, binary=binary)
        assert ws_stream.receive_message() == message
        assert ws_stream.get_last_received_opcode() == (2 if binary else 1)
    ws_stream.send_message('in ', end=False)
    ws_stream.send_message('parts')
    assert ws_stream.receive_message() == 'in parts'
    ws_stream.send_ping('anyone?')
    assert list(ws_stream._ping_queue) == [b'anyone?']
    ws_stream.send_message('after the ping')
    assert ws_stream.receive_message() == 'after the ping'
    assert not ws_stream._ping_queue
    ws_stream.close_connection(3001, 'bye')
    assert ws_stream._request.client_terminated and ws_stream._request.server_terminated
    assert ws_stream._request.ws_close_code == 1000


def test_a_client_learns_of_the_end_by_the_old_name_of_the_exception(client):
    from mod_pywebsocket import _stream_base
    ws_stream, sock = client()
    ws_stream.send_message('x')
    assert ws_stream.receive_message() == 'x'
    sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(_stream_base.ConnectionTerminatedException):
        ws_stream.receive_message()


def test_a_client_refuses_a_masked_frame(client):
    ws_stream, _ = client()
    ws_stream._request.connection.read = io.BytesIO(text('masked')).read
    with pytest.raises(stream.InvalidFrameException):
        ws_stream.receive_message()
