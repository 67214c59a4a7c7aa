"""The connection under a stream: replaced, wrapped, broken, shared by threads."""

import socket
import struct
import threading

import pytest
from conftest import close, text
from streams import PythonConnection, Request

from linkspan._linkspan import Channel
from mod_pywebsocket._async_stream import AsyncStream
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket.stream import Stream, StreamOptions


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_replaced_connection_is_used(make):
    request, sent = make(text('native'))
    own = request.connection
    request.connection = PythonConnection(text('mine'))
    assert request.ws_stream.receive_message() == 'mine'
    request.ws_stream.send_message('to mine')
    assert request.connection.sent == b'\x81\x07to mine'
    request.connection = own
    assert request.ws_stream.receive_message() == 'native'
    assert sent() == b''


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_replaced_method_is_used(make):
    request, sent = make(text('a') + text('b'))
    written, read = [], request.connection.read

    def slowly(length):
        return read(1)

    request.connection.write = written.append
    request.connection.read = slowly
    assert request.ws_stream.receive_message() == 'a'
    request.ws_stream.send_message('c')
    assert written == [b'\x81\x01c'] and sent() == b''


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_wrapper_of_the_connection_is_used(make):
    request, sent = make(text('a'))

    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def write(self, data):
            self.inner.write(b'<' + data + b'>')

    request.connection = Wrapper(request.connection)
    assert request.ws_stream.receive_message() == 'a'
    request.ws_stream.send_message('b')
    assert sent() == b'<\x81\x01b>'


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_subclass_has_its_say(make):
    request, _ = make(text('a'))

    class Loud(Stream):
        def _receive_frame(self):
            opcode, payload, *rest = super()._receive_frame()
            return (opcode, payload.upper(), *rest)

    request.ws_stream = Loud(request, StreamOptions())
    assert request.ws_stream.receive_message() == 'A'


@pytest.mark.parametrize('make', ['async'], indirect=True)
def test_an_async_stream_wants_the_servers_own_connection(make, loop):
    request = Request(PythonConnection(text('mine')))
    with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
        AsyncStream(request.ws_stream, loop)

    request, sent = make(text('native'))
    own, request.connection = request.connection, request.connection.__class__
    for verb in (request.ws_stream.receive_message, lambda: request.ws_stream.send_message('lost')):
        with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
            verb()
    request.connection = own
    request.connection.write = print
    with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
        request.ws_stream.receive_message()
    assert sent() == b''


def test_an_error_of_sending_names_the_peer_and_stays_what_it_is():
    class Broken(PythonConnection):
        def write(self, data):
            raise BrokenPipeError('gone')

    request = Request(Broken(b''))
    with pytest.raises(BrokenPipeError, match='sending to .*gone'):
        request.ws_stream.send_message('x')


def test_threads_share_a_stream():
    ours, theirs = socket.socketpair()

    class Handler:
        request = Channel(ours.fileno())
        client_address = ''

    request = Request(_StandaloneConnection(Handler))
    per_thread, threads, size = 200, 4, 5000
    received = []

    def send(number):
        for _ in range(per_thread):
            request.ws_stream.send_message(bytes([number]) * size, binary=True)

    def receive():
        while (message := request.ws_stream.receive_message()) is not None:
            received.append(message)

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    workers.append(threading.Thread(target=receive))
    for worker in workers:
        worker.start()
    theirs.sendall(text('x') * 500)
    with theirs.makefile('rb') as incoming:
        counts = dict.fromkeys(range(threads), 0)
        for _ in range(per_thread * threads):
            assert incoming.read(4) == struct.pack('!BBH', 0x82, 126, size)
            payload = incoming.read(size)
            assert payload == payload[:1] * size
            counts[payload[0]] += 1
        theirs.sendall(close(1000))
        assert incoming.read(4) == b'\x88\x02\x03\xe8'
    for worker in workers:
        worker.join()
    assert set(counts.values()) == {per_thread}
    assert received == ['x'] * 500
    ours.close()
    theirs.close()
