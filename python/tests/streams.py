"""Streams without a server: over a connection in Python, over a native one, and on a loop."""

import socket
import threading

import pytest

from linkspan._linkspan import Channel
from mod_pywebsocket._async_stream import AsyncStream
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket._loop import Loop
from mod_pywebsocket.stream import Stream, StreamOptions


class PythonConnection:
    """Reads what a test prepared, never more than asked, and keeps what is written."""

    remote_addr = ('test', 1)

    def __init__(self, data):
        self.data, self.sent = data, b''

    def read(self, length):
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def write(self, data):
        assert isinstance(data, bytes)
        self.sent += data


class Request:
    def __init__(self, connection, options=None):
        self.connection = connection
        self.ws_version = 13
        self.ws_close_code = self.ws_close_reason = None
        self.ws_stream = Stream(self, options or StreamOptions())


@pytest.fixture(scope='module')
def loop():
    loop = Loop()
    yield loop
    loop.retire()


@pytest.fixture(params=['python', 'native', 'async'])
def make(request, loop):
    """``make(bytes from the client)``: a request, and a function that gives what it has sent.

    An async stream lives on a loop; here it is used from another thread, where its methods wait.
    """
    sockets, senders, streams = [], [], []

    def make_request(data=b'', options=None):
        if request.param == 'python':
            made = Request(PythonConnection(data), options)
            return made, lambda: made.connection.sent
        ours, theirs = socket.socketpair()
        sockets.extend((ours, theirs))

        class Handler:
            request = Channel(ours.fileno())
            client_address = ('test', 1)

        made = Request(_StandaloneConnection(Handler), options)
        assert made.connection._channel is Handler.request

        def send():
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)

        senders.append(threading.Thread(target=send))
        senders[-1].start()

        if request.param == 'async':
            made.is_https = lambda: False
            made.ws_stream = AsyncStream(made.ws_stream, loop)
            streams.append(made.ws_stream)

        def sent():
            Handler.request.shutdown(socket.SHUT_WR)
            return theirs.makefile('rb').read()

        return made, sent

    yield make_request
    for made in streams:
        loop.run(made.end(), 'the end')
    for sender in senders:
        sender.join()
    for sock in sockets:
        sock.close()
