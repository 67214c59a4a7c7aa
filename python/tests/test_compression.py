"""Messages that permessage-deflate compresses (RFC 7692)."""

import zlib

import pytest
from conftest import close, masked

from mod_pywebsocket import common, extensions, msgutil, stream, util
from mod_pywebsocket.stream import StreamOptions


def with_deflate(**parameters):
    offer = common.ExtensionParameter('permessage-deflate')
    for name, value in parameters.items():
        offer.add_parameter(name, value)
    processor = extensions.get_extension_processor(offer)
    options = StreamOptions()
    assert processor.get_extension_response() is not None
    processor.setup_stream_options(options)
    return processor, options


def deflated(data):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compressed_messages(make):
    _, options = with_deflate()
    plain = 'compress me ' * 100
    packed = deflated(plain.encode())
    request, sent = make(
        masked(0xc1, packed) + masked(0x81, b'plain') + masked(0x41, packed[:7]) + masked(0x89, b'ping')
        + masked(0x00, packed[7:9]) + masked(0x80, packed[9:]) + masked(0xc2) + close(), options)
    received = [request.ws_stream.receive_message() for _ in range(4)]
    assert received[:3] == [plain, 'plain', plain]
    assert received[3] == b''
    assert request.ws_stream.receive_message() is None
    assert sent() == b'\x8a\x04ping\x88\x02\x03\xe8'


def test_compressed_bytes_are_zlibs(make):
    _, options = with_deflate(server_max_window_bits='10')
    request, sent = make(b'', options)
    request.ws_stream.send_message('Hello')
    request.ws_stream.send_message('')
    request.ws_stream.send_message('Hel', end=False)
    request.ws_stream.send_ping(b'no RSV1')
    request.ws_stream.send_message('lo')
    request.ws_stream.send_message('once, ' * 9)
    request.ws_stream.send_message('once, ' * 9)
    compressor = zlib.compressobj(wbits=-10)

    def piece(data):
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)

    expected = b''
    for first, data, is_end in ((0xc1, b'Hello', True), (0xc1, b'', True), (0x41, b'Hel', False), (0x80, b'lo', True),
                                (0xc1, b'once, ' * 9, True), (0xc1, b'once, ' * 9, True)):
        packed = piece(data)
        if is_end:
            packed = packed[:-4]
        expected += bytes((first, len(packed))) + packed
        if not is_end:
            expected += b'\x89\x07no RSV1'
    assert sent() == expected


def test_without_takeover_every_message_begins_anew(make):
    _, options = with_deflate(server_no_context_takeover=None)
    request, sent = make(b'', options)
    request.ws_stream.send_message('again')
    request.ws_stream.send_message('again')
    packed = deflated(b'again')
    assert sent() == (bytes((0xc1, len(packed))) + packed) * 2


@pytest.mark.parametrize('offer, bits, agreed', [
    ({}, None, 'permessage-deflate'), ({}, 10, None),
    ({'client_max_window_bits': None}, 10, 'permessage-deflate; client_max_window_bits=10'),
    ({'client_max_window_bits': '9'}, 10, 'permessage-deflate; client_max_window_bits=9'),
    ({'client_max_window_bits': '12'}, 10, 'permessage-deflate; client_max_window_bits=10'),
], ids=str)
def test_a_handler_asks_for_a_smaller_window(offer, bits, agreed):
    request = common.ExtensionParameter('permessage-deflate')
    for name, value in offer.items():
        request.add_parameter(name, value)
    processor = extensions.get_extension_processor(request)
    if bits is not None:
        processor.set_client_max_window_bits(bits)
    response = processor.get_extension_response()
    assert (response and common.format_extension(response)) == agreed


def test_a_bomb_is_not_inflated(make, monkeypatch):
    sizes = []
    inflate = util._RFC1979Inflater.filter

    def filter_(inflater, *arguments):
        message = inflate(inflater, *arguments)
        sizes.append(len(message))
        return message

    monkeypatch.setattr(util._RFC1979Inflater, 'filter', filter_)
    _, options = with_deflate()
    options.max_message_bytes = 1 << 20
    request, _ = make(masked(0xc2, deflated(bytes(1 << 20))) + masked(0xc2, zlib.compress(bytes(1 << 26))[2:-4]), options)
    assert request.ws_stream.receive_message() == bytes(1 << 20)
    with pytest.raises(stream.MessageTooBigException):
        request.ws_stream.receive_message()
    # One byte more tells that there is more.
    assert sizes == [1 << 20, (1 << 20) + 1]


def test_compression_can_be_switched(make):
    processor, options = with_deflate()
    request, sent = make(b'', options)
    processor.disable_outgoing_compression()
    request.ws_stream.send_message('plain')
    processor.enable_outgoing_compression()
    processor.set_bfinal(True)
    request.ws_stream.send_message('Hello')
    assert sent() == b'\x81\x05plain\xc1\x08' + b'\xf3\x48\xcd\xc9\xc9\x07\x00' + b'\x00'


def test_a_processor_without_an_answer_has_no_framer():
    processor = extensions.get_extension_processor(common.ExtensionParameter('permessage-deflate'))
    assert processor.name() == 'deflate'
    for verb in (processor.enable_outgoing_compression, processor.disable_outgoing_compression,
                 lambda: processor.set_bfinal(True)):
        with pytest.raises(AttributeError):
            verb()


@pytest.mark.parametrize('data', [
    masked(0xc1, b'\xff\xff\xff'),
    masked(0x41, b'\xf2\x48') + masked(0xc0, b'\xcd'),
], ids=['garbage', 'RSV1 on a continuation'])
def test_bad_compression_is_an_invalid_frame(make, data):
    _, options = with_deflate()
    request, _ = make(data, options)
    with pytest.raises(msgutil.InvalidFrameException):
        request.ws_stream.receive_message()
