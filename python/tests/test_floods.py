"""Clients that send too much of something small, or come and leave: memory and descriptors stay bounded, and come back."""

import contextlib
import os
import socket
import time
import zlib

import pytest
from conftest import ECHO, PATIENCE, close, head, masked, serve_module, text

# Beyond what arenas of threads, caches of modules and a first message cost.
ROOM_BYTES = 24 << 20
DEFLATE = 'permessage-deflate; server_no_context_takeover'

server = serve_module({'echo': ECHO}, '--max-message-bytes', '65536', also_async=True)


def resident_bytes(server):
    with open('/proc/%d/statm' % server.process.pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def descriptors(server):
    return len(os.listdir('/proc/%d/fd' % server.process.pid))


def echoes(client, word='still there'):
    client.send(text(word))
    while True:
        frame = client.read_frame()
        if frame == (0x81, word.encode()):
            return
        assert frame is not None and frame[0] == 0x8a


@pytest.fixture
def bounded(server):
    """The server; its memory and descriptors are looked at when the test is over."""
    with server.connect() as client:
        client.upgrade()
        echoes(client)
        memory, files = resident_bytes(server), descriptors(server)
        yield server
        echoes(client)
        assert resident_bytes(server) - memory < ROOM_BYTES
        until = time.monotonic() + PATIENCE
        while descriptors(server) > files:
            assert time.monotonic() < until
            # Each round trip gives the server's threads a turn to end.
            echoes(client)


@pytest.mark.parametrize('piece', [
    masked(0x89), masked(0x89, b'x' * 125), masked(0x8a, b'x' * 125), masked(0x82),
], ids=['pings', 'long pings', 'pongs', 'empty messages'])
def test_floods_of_small_frames(bounded, piece):
    with bounded.connect() as client:
        client.upgrade()
        # It reads nothing meanwhile, until nothing more goes.
        client.sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.send(piece * 500)
        assert resident_bytes(bounded) > 0


@pytest.mark.parametrize('size', [0, 1])
def test_a_message_of_endless_fragments(bounded, size):
    with bounded.connect() as client:
        client.upgrade()
        client.send(masked(0x02))
        fragment = masked(0x00, b'x' * size)
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.send(fragment * 1000)


def test_deflate_bombs_one_after_the_other(bounded):
    compressor = zlib.compressobj(wbits=-15)
    bombs = []
    for _ in range(10):
        compressor = zlib.compressobj(wbits=-15)
        bombs.append((compressor.compress(bytes(32 << 20)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4])
    for bomb in bombs[:10]:
        with bounded.connect() as client:
            client.upgrade(Sec_WebSocket_Extensions=DEFLATE)
            client.send(masked(0xc2, bomb))
            assert client.read_close() == 1009
    with bounded.connect() as client:
        # Each within the limit, through one window.
        client.upgrade(Sec_WebSocket_Extensions=DEFLATE)
        compressor = zlib.compressobj(wbits=-15)
        for _ in range(200):
            client.send(masked(0xc2, (compressor.compress(bytes(65536)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]))
            assert client.read_frame()[0] == 0xc2


def test_heads_and_hellos_that_never_end(bounded):
    with contextlib.ExitStack() as stack:
        for number in range(500):
            client = stack.enter_context(bounded.connect())
            client.send(head()[:number % 100])


def test_connections_that_come_and_leave(bounded):
    for number in range(3000):
        with socket.create_connection(('localhost', bounded.port), PATIENCE) as sock:
            if number % 3:
                sock.sendall(head()[:None if number % 3 == 1 else 20])


def test_websockets_that_open_and_leave(bounded):
    for number in range(300):
        with bounded.connect() as client:
            client.upgrade()
            if number % 2:
                client.send(close(1000))
                client.read_all()
