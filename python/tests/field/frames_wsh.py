"""Writes frames by hand, those included that no server should send; the query names them."""

from mod_pywebsocket import common, stream, util


def zero_length_text(request):
    request.connection.write(stream.create_text_frame(''))
    request.ws_stream.send_message('')


def broken_utf8(request):
    request.connection.write(stream.create_header(common.OPCODE_TEXT, 3, 1, 0, 0, 0, 0) + b'\xc3\x28\xff')


def reserved_opcodes(request):
    for opcode in (3, 7, 11, 15):
        request.connection.write(stream.create_header(opcode, 1, 1, 0, 0, 0, 0) + util.pack_byte(opcode))


def reserved_bits(request):
    for bits in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        request.connection.write(stream.create_header(common.OPCODE_TEXT, 0, 1, *bits, mask=False))


def long_control_frames(request):
    for opcode in (common.OPCODE_PING, common.OPCODE_PONG, common.OPCODE_CLOSE):
        request.connection.write(stream.create_text_frame('x' * 126, opcode=opcode))


def fragmented_control_frames(request):
    request.connection.write(stream.create_text_frame('p', opcode=common.OPCODE_PING, fin=0))
    request.connection.write(stream.create_binary_frame(b'q', opcode=common.OPCODE_CONTINUATION))


def interleaved_fragments(request):
    request.ws_stream.send_message('one ', end=False)
    request.connection.write(stream.create_text_frame('between', fin=0))
    request.ws_stream.send_ping(b'ping')
    request.ws_stream.send_message('two ', end=False)
    request.ws_stream._send_pong(b'pong')
    request.ws_stream.send_message('three')


def masked(request):
    frame = stream.create_binary_frame(b'secret', mask=True)
    assert len(frame) == 2 + 4 + 6
    request.connection.write(frame)


def too_long(request):
    request.connection.write(stream.create_header(common.OPCODE_BINARY, (1 << 63) - 1, 1, 0, 0, 0, 0))


def split(request):
    for byte in bytearray(stream.create_text_frame('in pieces')):
        request.ws_stream._write(util.pack_byte(byte))


def builder(request):
    frames = stream.FragmentedFrameBuilder(False)
    for part, end in (('a', False), ('b', False), ('c', True)):
        request.ws_stream._write(frames.build(part, end, False))


def bytes_like(request):
    request.connection.write(bytearray(b'\x82\x01a'))
    request.connection.write(memoryview(b'\x82\x01b'))
    request.ws_stream.send_message(memoryview(b'c'), binary=True)
    request.ws_stream.send_message(bytearray(b'd'), binary=True)


def two_closes(request):
    body = stream.create_closing_handshake_body(common.STATUS_NORMAL_CLOSURE, 'one')
    request.connection.write(stream.create_close_frame(body))
    request.ws_stream._send_closing_handshake(common.STATUS_GOING_AWAY, 'two')


def web_socket_do_extra_handshake(request):
    request.ws_extension_processors = []


def web_socket_transfer_data(request):
    globals()[request.ws_resource.partition('?')[2]](request)
    # No close frame of the library's own.
    request.server_terminated = True
