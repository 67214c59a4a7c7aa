"""What a connection that says nothing costs its server."""

import sys

from conftest import ECHO, masked, text

_CONNECTIONS = 400
# 28 measured with a release build (a debug build has deeper stacks): 12 of the thread's stack, 4 of the interpreter's.
# Older Pythons have no frames that are used again.
_MOST_KIB = 36 if sys.version_info >= (3, 11) else 52


def _resident_kib(process):
    with open('/proc/%d/status' % process.pid) as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmRSS:'))


def test_an_idle_handler_costs_little_memory(start):
    server = start({'echo': ECHO})
    clients = []

    def open_more(count):
        for _ in range(count):
            client = server.connect()
            clients.append(client)
            client.upgrade()
            # Its handler has come so far that it waits for a message, and has done so once.
            client.send(text('x'))
            assert client.read_frame() == (0x81, b'x')

    try:
        # The first need what all others share.
        open_more(50)
        before = _resident_kib(server.process)
        open_more(_CONNECTIONS)
        assert (_resident_kib(server.process) - before) / _CONNECTIONS <= _MOST_KIB
    finally:
        for client in clients:
            client.sock.close()


def test_a_message_that_is_only_announced_costs_nothing(start):
    server = start({'echo': ECHO})
    clients = [server.connect() for _ in range(4)]
    try:
        for client in clients:
            client.upgrade()
        before = _resident_kib(server.process)
        for first in (0x82, 0x02):
            for client in clients[:2]:
                client.send(masked(first, b'x' * 100, length=100 << 20))
            clients = clients[2:] + clients[:2]
        # Another's answer comes when theirs have been looked at.
        with server.connect() as other:
            other.upgrade()
            for number in range(20):
                other.send(text(str(number)))
                assert other.read_frame() == (0x81, str(number).encode())
        assert _resident_kib(server.process) - before < 50 << 10
    finally:
        for client in clients:
            client.sock.close()
