"""Clients that say nothing, little by little, or never listen: whoever else is there does not notice."""

import contextlib
import pathlib
import socket
import struct
import threading
import time

import pytest
from conftest import ECHO, PATIENCE, Client, head, text

from linkspan._linkspan import Front, ServerTls

# Far below every deadline of the server, far above what a round trip takes on a busy machine. In seconds.
SOON = 5
CROWD = 200

THREADS = '''
import threading

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    while request.ws_stream.receive_message() is not None:
        request.ws_stream.send_message(str(threading.active_count()))
'''


@contextlib.contextmanager
def crowd(server, count=CROWD):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(count)]


def assert_serves(server, context=None, times=30):
    """Newcomers and whoever is there already get their answers soon."""
    with server.connect(context) as old:
        old.upgrade()
        for number in range(times):
            since = time.monotonic()
            old.send(text('old %d' % number))
            assert old.read_frame() == (0x81, b'old %d' % number)
            with server.connect(context) as new:
                new.upgrade()
                new.send(text('new'))
                assert new.read_frame() == (0x81, b'new')
            assert time.monotonic() - since < SOON


def threads(server, context=None):
    """How many the server has."""
    with server.connect(context) as client:
        client.upgrade('/threads')
        client.send(text('?'))
        return int(client.read_frame()[1])


@contextlib.contextmanager
def dribbling(clients, data):
    """All clients send the data byte by byte, as long as the block runs."""
    stopped = threading.Event()

    def dribble():
        for byte in data:
            for client in clients:
                if stopped.is_set():
                    return
                with contextlib.suppress(OSError):
                    client.send(bytes([byte]))

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def test_heads_that_never_end_keep_nobody_waiting(start):
    server = start({'echo': ECHO, 'threads': THREADS})
    before = threads(server)
    with crowd(server) as clients, server.connect() as late:
        late.send(head()[:30])
        with dribbling(clients, b'GET /echo HTTP/1.1\r\n' + b'X: y\r\n' * 100000):
            assert_serves(server)
            # Not one of them has a thread.
            assert threads(server) < before + 20
        # Who ends the head after all is served as everybody else.
        late.send(head()[30:])
        assert late.read_head().startswith(b'HTTP/1.1 101 ')


@pytest.mark.parametrize('said', [b'', b'\x16\x03\x01\x02\x00\x01', b'GET /echo HTTP/1.1\r\n'], ids=repr)
def test_tls_clients_that_say_little_keep_nobody_waiting(start, certificates, trusting, said):
    server = start({'echo': ECHO, 'threads': THREADS}, '-t', '-k', certificates['server_key'],
                   '-c', certificates['server'])
    before = threads(server, trusting)
    with crowd(server) as clients:
        for client in clients:
            client.send(said)
        assert_serves(server, trusting, times=10)
        assert threads(server, trusting) < before + 20


@pytest.mark.parametrize('data', [b'', b'GET /echo HTTP/1.1\r\n'])
@pytest.mark.parametrize('encrypted', [False, True])
def test_a_head_has_a_deadline(certificates, data, encrypted):
    tls = ServerTls(certificates['server'], certificates['server_key']) if encrypted else None
    with socket.create_server(('127.0.0.1', 0)) as listener:
        front = Front([listener.fileno()], tls, head_seconds=0.2)
        try:
            with Client(socket.create_connection(listener.getsockname(), PATIENCE)) as client:
                client.send(data)
                since = time.monotonic()
                client.read_all()
                assert time.monotonic() - since < SOON
            assert front.accept(0) is None
        finally:
            front.close()


def test_a_head_has_a_size(start):
    server = start({'echo': ECHO})
    before = resident_bytes(server)
    with server.connect() as client:
        client.send(b'GET /echo HTTP/1.1\r\n')
        sent = 0
        with contextlib.suppress(OSError):
            # Nobody reads all of it.
            while sent < 1000:
                client.send(b'X: ' + b'y' * 65533)
                sent += 1
        assert sent < 1000
        assert client.read_head().startswith(b'HTTP/1.1 431 ')
    assert resident_bytes(server) - before < 8 << 20


def resident_bytes(server):
    return int(pathlib.Path('/proc/%d/statm' % server.process.pid).read_text().split()[1]) * 4096


def test_clients_that_never_read_keep_nobody_waiting(start):
    server = start({'echo': ECHO})
    with crowd(server, 10) as clients:
        for client in clients:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.upgrade()
        before = resident_bytes(server)
        taken = [flood(client) for client in clients]
        assert_serves(server)
        # What is under way fits into the buffers of the sockets; the server keeps a message of each.
        assert max(taken) < 64 << 20
        assert resident_bytes(server) - before < len(clients) * (1 << 20)


def flood(client):
    """Sends messages until no more goes in for a while; how many bytes went."""
    message = memoryview(text('x' * 100000))
    client.sock.settimeout(0.2)
    taken = 0
    with contextlib.suppress(TimeoutError, socket.timeout):
        while taken < 256 << 20:
            # Whole frames or not does not matter any more.
            taken += client.sock.send(message[taken % len(message):])
    return taken


def test_a_connection_that_is_reset_is_nobodys_trouble(start):
    server = start({'echo': ECHO})
    with crowd(server) as clients:
        for number, client in enumerate(clients):
            client.send(head()[:number * 2])
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            client.sock.close()
        assert_serves(server, times=3)
