"""Messages, in every way that a socket can be carried, over ws and wss."""

import pytest

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, closed_with, closing, connect, frame
from corpus import corpus, play

pytestmark = pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])


def test_texts_and_bytes_come_back(way, tls):
    with connect(way, tls=tls, compression=None) as socket:
        for message in ["hello", "", "é" * 70000, b"\0\xff", bytes(range(256)) * 1000]:
            socket.send(message)
            assert socket.recv(30) == message
    assert socket.close_code == 1000


def test_three_megabytes_come_back(way, tls):
    with connect(way, tls=tls, compression=None) as socket:
        message = b"0123456789abcdef" * (3 << 16)
        socket.send(message)
        assert socket.recv(60) == message


def test_compressed_messages_come_back(way, tls):
    with connect(way, tls=tls) as socket:
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        for message in ["a" * 100000, "short", "b" * 500]:
            socket.send(message)
            assert socket.recv(30) == message


def test_frames_glued_to_each_other_and_to_a_close(way, tls):
    with Raw(way, tls=tls) as raw:
        raw.send(b"".join(frame(TEXT, b"%d" % i) for i in range(200)) + closing(1000, b"bye"))
        for i in range(200):
            assert raw.receive() == (TEXT, b"%d" % i)
        assert raw.receive() == (CLOSE, b"\x03\xe8")
        assert raw.is_at_end()


def test_a_frame_right_behind_the_request(way, tls):
    with Raw(way, tls=tls, behind=frame(TEXT, b"early") + frame(BINARY, b"x" * 20000)) as raw:
        assert raw.head.startswith("HTTP/1.1 101 ")
        assert raw.receive() == (TEXT, b"early")
        assert raw.receive() == (BINARY, b"x" * 20000)


def test_fragments_with_a_ping_between_them(way, tls):
    with Raw(way, tls=tls) as raw:
        raw.send(frame(TEXT, b"one ", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"two"))
        assert raw.receive() == (PONG, b"?")
        assert raw.receive() == (TEXT, b"one two")


@pytest.mark.parametrize("sent, code", [
    (frame(TEXT, b"\xff"), 1007),
    (frame(3), 1002),
    (b"\x81\x01a", 1002),
    (b"\x81\xff\0\0\0\0\x01\0\0\0mask", 1009),
    (closing(1005), 1002),
    (closing(4321), 4321),
    (frame(CLOSE), 1005),
], ids=["utf8", "opcode", "unmasked", "size", "bad code", "own code", "no code"])
def test_a_close_has_the_code_that_fits(way, tls, sent, code):
    with Raw(way, tls=tls) as raw:
        raw.send(sent)
        assert closed_with(raw) == code
        assert raw.is_at_end()


def test_a_peer_that_just_goes_ends_its_socket_only(way, tls):
    with connect(way, tls=tls) as socket:
        for _ in range(20):
            Raw(way, tls=tls).close()
        with Raw(way, tls=tls) as raw:
            raw.send(frame(TEXT, b"half a frame")[:5])
        socket.send("still here")
        assert socket.recv(30) == "still here"


def test_many_rounds(way, tls):
    with connect(way, tls=tls, compression=None) as socket:
        for i in range(500):
            socket.send(str(i))
            assert socket.recv(30) == str(i)


def test_the_engines_scripts_have_the_outcome_that_is_written_there(way, tls):
    cases = corpus()
    assert len(cases) > 100, "only so many can be played"
    otherwise = {case.name: what for case in cases for what in [play(case, way, tls)] if what}
    assert not otherwise
