"""Frames by hand, good and bad."""

import pytest
from streams import PythonConnection

from mod_pywebsocket import common, msgutil, stream


def test_a_masked_frame_can_be_made_and_parsed():
    frame = stream.create_text_frame('hello', mask=True)
    data = PythonConnection(frame)
    assert stream.parse_frame(data.read) == (1, b'hello', 1, 0, 0, 0)
    data = PythonConnection(stream.create_binary_frame(b'', opcode=0xf, fin=0))
    assert stream.parse_frame(data.read, unmask_receive=False) == (15, b'', 0, 0, 0, 0)


def test_frames_that_break_the_protocol_can_be_made():
    assert stream.create_text_frame('x' * 126, opcode=common.OPCODE_PING)[:4] == b'\x89\x7e\x00\x7e'
    assert stream.create_header(common.OPCODE_PING, 0, 0, 1, 1, 1, 0) == b'\x79\x00'
    for make_frame in (stream.create_ping_frame, stream.create_pong_frame, stream.create_close_frame):
        with pytest.raises(msgutil.BadOperationException):
            make_frame(b'x' * 126)
        with pytest.raises(TypeError):
            make_frame('text')
    with pytest.raises(AttributeError):
        stream.create_text_frame(b'bytes')
