"""What a connection that says nothing costs its server."""

import socket
import sys

import pytest
from conftest import ECHO, masked, text

_CONNECTIONS = 400
# 25 measured with a release build (a debug build has deeper stacks): 8 of the thread's stack, 4 of the interpreter's.
# Older Pythons have no frames that are used again.
_MOST_KIB = 34 if sys.version_info >= (3, 11) else 52


def _resident_kib(process, which='VmRSS'):
    """Now; with ``VmHWM`` the most that it ever was."""
    with open('/proc/%d/status' % process.pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith(which + ':'))


@pytest.mark.parametrize('says, headers, more_kib', [
    (text('x'), {}, 0),
    # What a message needs is made for the first one.
    (masked(0x89, b''), {'Sec-WebSocket-Extensions': 'permessage-deflate'}, 3),
], ids=['plain', 'permessage-deflate'])
def test_an_idle_handler_costs_little_memory(start, says, headers, more_kib):
    server = start({'echo': ECHO})
    clients = []

    def open_more(count):
        for _ in range(count):
            client = server.connect()
            clients.append(client)
            client.upgrade(**headers)
            # Its handler has come so far that it waits for a message, and has done so once.
            client.send(says)
            assert client.read_frame()[0] in (0x81, 0x8a)

    try:
        # The first need what all others share.
        open_more(50)
        before = _resident_kib(server.process)
        open_more(_CONNECTIONS)
        assert _resident_kib(server.process) - before <= _CONNECTIONS * (_MOST_KIB + more_kib)
    finally:
        for client in clients:
            client.sock.close()


def test_a_message_that_is_only_announced_costs_nothing(start):
    server = start({'echo': ECHO})
    before = _resident_kib(server.process)
    for first in (0x82, 0x02):
        with server.connect() as client:
            client.upgrade()
            client.send(masked(first, b'x' * 100, length=100 << 20))
            client.sock.shutdown(socket.SHUT_WR)
            # Its end is seen behind what it has sent.
            assert client.read_all() == b''
    assert _resident_kib(server.process, 'VmHWM') - before < 50 << 10
