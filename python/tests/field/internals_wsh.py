"""Reads by what the stream is made of; the query names how."""

import zlib

from mod_pywebsocket import common, stream, util


def frames(request):
    for _ in range(3):
        opcode, payload, final, rsv1, rsv2, rsv3 = request.ws_stream._receive_frame()
        request.ws_stream.send_message(repr((opcode, payload, final, rsv1, rsv2, rsv3)))


def filtered_frames(request):
    """What a compressed message is made of."""
    ws_stream = request.ws_stream
    for _ in range(2):
        frame = ws_stream._receive_frame_as_frame_object()
        for frame_filter in ws_stream._options.incoming_frame_filters:
            frame_filter.filter(frame)
        message = ws_stream._get_message_from_frame(frame)
        if message is None:
            continue
        for message_filter in ws_stream._options.incoming_message_filters:
            message = message_filter.filter(message)
        ws_stream.send_message(message.decode())


def whole_frame(request):
    frame = request.ws_stream.receive_filtered_frame()
    request.ws_stream.send_message('%d %s' % (frame.opcode, frame.payload.decode()))


def half_a_message(request):
    """The first fragments by hand, the rest by the library, and the other way round."""
    ws_stream = request.ws_stream
    assert ws_stream._get_message_from_frame(ws_stream._receive_frame_as_frame_object()) is None
    assert ws_stream._get_message_from_frame(ws_stream._receive_frame_as_frame_object()) is None
    ws_stream.send_message(ws_stream.receive_message())
    ws_stream.send_message('%d' % ws_stream.get_last_received_opcode())


def close_by_hand(request):
    frame = request.ws_stream._receive_frame_as_frame_object()
    message = request.ws_stream._get_message_from_frame(frame)
    request.ws_stream._process_close_message(message)
    assert request.client_terminated and request.server_terminated
    assert (request.ws_close_code, request.ws_close_reason) == (3000, 'mine')


def ping_by_hand(request):
    frame = request.ws_stream._receive_frame_as_frame_object()
    request.ws_stream._process_ping_message(request.ws_stream._get_message_from_frame(frame))


def close_seen(request):
    """A close frame by hand, then what the client answers."""
    request.connection.write(stream.create_close_frame(stream.create_closing_handshake_body(3001, 'x')))
    request.server_terminated = True
    opcode, payload = request.ws_stream._receive_frame()[:2]
    request.connection.write(repr((opcode, payload)).encode())


def raw_close(request):
    request.ws_stream._send_closing_handshake(common.STATUS_NORMAL_CLOSURE, '')
    received = request.ws_stream.receive_bytes(6)
    request.connection.write(repr(received).encode())


def lines(request):
    request.connection.write(request.ws_stream._read_until(b'\n') + b'|' + request.ws_stream._read(2))
    request.server_terminated = True


def inflate_by_hand(request):
    """The client has agreed to compression, and this stream knows nothing of it."""
    opcode, payload, final, rsv1, rsv2, rsv3 = request.ws_stream._receive_frame()
    assert (opcode, final, rsv1, rsv2, rsv3) == (common.OPCODE_TEXT, 1, 1, 0, 0)
    inflater = util._Inflater(zlib.MAX_WBITS)
    inflater.append(payload + b'\x00\x00\xff\xff')
    message = inflater.decompress(-1)
    deflated = util._RFC1979Deflater(zlib.MAX_WBITS, False).filter(message.upper())
    header = stream.create_header(common.OPCODE_TEXT, len(deflated), 1, 1, 0, 0, mask=False)
    request.connection.write(header + deflated)


def web_socket_do_extra_handshake(request):
    if request.ws_resource.endswith('?inflate_by_hand'):
        request.ws_extension_processors = []
        request.extra_headers.append(('Sec-WebSocket-Extensions', 'permessage-deflate'))


def web_socket_transfer_data(request):
    globals()[request.ws_resource.partition('?')[2]](request)
