"""The native connection by itself, over two sockets that are connected to each other."""

import socket
import threading

import pytest
from conftest import PATIENCE, masked

from linkspan._linkspan import Channel

HUGE = bytes(range(256)) * 40000


@pytest.fixture
def pair():
    """A channel, and the peer's socket."""
    ours, peer = socket.socketpair()
    peer.settimeout(PATIENCE)
    with ours, peer:
        channel = Channel(ours.fileno())
        yield channel, peer
        channel.close()


def read_exactly(sock, length):
    data = bytearray()
    while len(data) < length:
        part = sock.recv(1 << 20)
        assert part, 'the stream ends after %d bytes' % len(data)
        data += part
    return bytes(data)


def test_traffic_is_counted(pair):
    channel, peer = pair
    assert channel.traffic() == (0, 0, 0, 0, 0, 0)
    peer.sendall(masked(0x81, b'12345') + masked(0x82, b'123') + masked(0x89, b'1'))
    assert channel.receive_message(1000) == '12345'
    assert channel.receive_message(1000) == b'123'
    assert channel.receive_message(1000) is None
    channel.send_frame('1234', 0x81)
    channel.write(b'12')
    # Headers are 6 and 2 bytes.
    assert channel.traffic() == (27, 8, 2, 8, 1, 4)
    channel.count_received(10)
    channel.count_sent(20)
    assert channel.traffic() == (27, 8, 3, 18, 2, 24)


def test_a_long_message_is_counted_when_it_is_whole(pair):
    channel, peer = pair
    sender = threading.Thread(target=peer.sendall, args=(masked(0x82, HUGE[:300000]),))
    sender.start()
    assert channel.receive_message(1 << 20) == HUGE[:300000]
    sender.join(PATIENCE)
    assert channel.traffic() == (300014, 0, 1, 300000, 0, 0)


def test_bytes_that_nobody_has_read_are_seen(pair):
    channel, peer = pair
    assert channel.unread() == 0
    peer.sendall(b'x' * 100)
    assert channel.unread() == 100
    assert channel.read(10) == b'x' * 10
    # One read takes what is there.
    assert channel.unread() == 0
    peer.sendall(b'x' * 50000)
    assert channel.unread() == 16384


def test_what_is_posted_keeps_its_order(pair):
    channel, peer = pair
    assert channel.post(HUGE)
    # Now there is room again, and a rest that is to use it.
    read = peer.recv(1 << 20)
    assert channel.post(b'behind')
    while channel.flush():
        read += peer.recv(1 << 20)
    read += read_exactly(peer, len(HUGE) + 6 - len(read))
    assert read == HUGE + b'behind'


def test_an_offer_that_goes_in_part_is_sent_whole(pair):
    channel, peer = pair
    assert channel.offer(HUGE)
    assert not channel.offer(b'refused')
    writer = threading.Thread(target=channel.write, args=(b'behind',))
    writer.start()
    assert read_exactly(peer, len(HUGE) + 6) == HUGE + b'behind'
    writer.join(PATIENCE)
    assert channel.offer(b'at once')
    assert peer.recv(100) == b'at once'


def test_an_offer_pushes_what_the_one_before_has_left(pair):
    channel, peer = pair
    assert channel.offer(HUGE)
    read = b''
    while not channel.offer(b'next'):
        read += peer.recv(1 << 20)
    read += read_exactly(peer, len(HUGE) + 4 - len(read))
    assert read == HUGE + b'next'


def test_bytes_that_nobody_has_read_do_not_break_off_what_was_sent():
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.settimeout(PATIENCE)
        channel = Channel(ours.fileno())
        ours.close()
        peer.sendall(b'x' * 100000)
        channel.write(b'last')
        channel.close()
        assert peer.recv(100) == b'last'
        # Not a reset, which the system makes of bytes that are left.
        assert peer.recv(100) == b''
