"""permessage-deflate. The query says what the handler does about it."""

from pywebsocket3 import extensions, util


def processor(request):
    found, = [one for one in request.ws_extension_processors
              if isinstance(one, extensions.PerMessageDeflateExtensionProcessor)]
    assert found.name() == 'deflate'
    return found


def pick(request):
    request.ws_extension_processors = [processor(request)]


FIRST = {
    'client-bits': lambda request: processor(request).set_client_max_window_bits(10),
    'client-fresh': lambda request: processor(request).set_client_no_context_takeover(True),
    'client-both': lambda request: (processor(request).set_client_max_window_bits(8),
                                    processor(request).set_client_no_context_takeover(True)),
    'too-early-bfinal': lambda request: processor(request).set_bfinal(True),
    'too-early-enable': lambda request: processor(request).enable_outgoing_compression(),
    'too-early-disable': lambda request: processor(request).disable_outgoing_compression(),
    'inactive': lambda request: processor(request).set_active(False),
    'pick': pick,
}


def bfinal(request, ws):
    processor(request).set_bfinal(True)
    for message in ('Hello', 'Hello', ''):
        ws.send_message(message)
    processor(request).set_bfinal(False)
    ws.send_message('Hello')


def switch(request, ws):
    processor(request).disable_outgoing_compression()
    ws.send_message('Hello')
    processor(request).enable_outgoing_compression()
    ws.send_message('Hello')


def fragments(request, ws):
    for _ in range(2):
        ws.send_message('Hel', end=False)
        ws.send_message('', end=False)
        ws.send_message('lo', end=True)
    ws.send_message(b'\0' * 1000, end=False, binary=True)
    ws.send_message(b'\0' * 1000, binary=True)


def mixed(request, ws):
    """Much of everything, so that the window and the choice of blocks matter."""
    random, seed = [], 1
    for _ in range(3000):
        seed = seed * 1103515245 + 12345 & 0x7fffffff
        random.append(seed >> 16 & 255)
    random = bytes(random)
    for length in (0, 1, 300, 3000):
        ws.send_message(random[:length], binary=True)
        ws.send_message('lorem ipsum ' * (length // 3))
        ws.send_message('')
        ws.send_message(random[:length] + b'lorem ipsum' * 500 + random[:length], binary=True)


def apart(request, ws):
    """Bytes by hand with the processor's own compressor, between messages."""
    own = processor(request)._rfc1979_deflater
    for _ in range(2):
        ws.send_message('Hello')
        payload = own.filter(b'Hello')
        ws._write(b'\xc1' + util.pack_byte(len(payload)) + payload)
    ws.send_message(repr((own._window_bits, own._no_context_takeover)))


def by_hand(request, ws):
    frame = ws._receive_frame()
    inflater = util._Inflater(15)
    inflater.append(frame[1] + b'\0\0\xff\xff')
    ws.send_message(repr((frame[0], frame[2:], inflater.decompress(-1))))


def echo(request, ws):
    while True:
        message = ws.receive_message()
        if message is None:
            return
        ws.send_message(message, binary=isinstance(message, bytes))


def half(request, ws):
    """The setting changes in the middle of a message."""
    ws.send_message('Hello', end=False)
    processor(request).disable_outgoing_compression()
    ws.send_message('Hello')
    ws.send_message('plain')


SECOND = {'bfinal': bfinal, 'switch': switch, 'fragments': fragments, 'mixed': mixed, 'apart': apart,
          'by-hand': by_hand, 'half': half}


def web_socket_do_extra_handshake(request):
    FIRST.get(request.uri.partition('?')[2], lambda request: None)(request)


def web_socket_transfer_data(request):
    SECOND.get(request.uri.partition('?')[2], echo)(request, request.ws_stream)
