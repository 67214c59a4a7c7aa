"""What may happen in web_socket_do_extra_handshake. The query says which of it."""

from pywebsocket3 import common, handshake, msgutil, stream
from pywebsocket3.handshake import hybi

import throwing


def write_then_abort(request):
    request.connection.write(b'HTTP/1.1 418 Teapot\r\n\r\n')
    raise handshake.AbortedByUserException('answered by hand')


def by_hand(request):
    accept = hybi.compute_accept_from_unicode(request.headers_in[common.SEC_WEBSOCKET_KEY_HEADER])
    request.connection.write(b'HTTP/1.1 101 By Hand\r\nSec-WebSocket-Accept: ' + accept + b'\r\n\r\n'
                             + stream.create_close_frame(stream.create_closing_handshake_body(1001, '')))
    request.connection.read(8)
    raise handshake.AbortedByUserException('done')


def read_until_the_end(request):
    while request.connection.read(4096):
        pass


def choose(protocol):
    return lambda request: setattr(request, 'ws_protocol', protocol)


def skip_the_check(request):
    request.ws_requested_protocols = None


def add(*header):
    return lambda request: request.extra_headers.append(header)


def processors(*which):
    return lambda request: setattr(request, 'ws_extension_processors', list(which))


ACTIONS = {
    **throwing.ACTIONS,
    'return': lambda request: None,
    'key': lambda request: throwing.throw(KeyError('mine')),
    'send-too-early': lambda request: msgutil.send_message(request, 'too early'),
    'receive-too-early': lambda request: msgutil.receive_message(request),
    'write': lambda request: request.connection.write(b'before'),
    'write-str': lambda request: request.connection.write('text'),
    'write-then-abort': write_then_abort,
    'by-hand': by_hand,
    'read-until-the-end': read_until_the_end,
    'protocol-b': choose('b'),
    'protocol-other': choose('other'),
    'protocol-two-words': choose('two words'),
    'protocol-empty': choose(''),
    'protocol-int': choose(5),
    'protocol-unasked': choose('unasked'),
    'protocol-skip': skip_the_check,
    'header': add('Set-Cookie', 'a=b'),
    'header-with-line-break': add('X-One', '1\r\nX-Two: 2'),
    'header-none': add('X-None', None),
    'header-snowman': add('X-Snowman', '\u2603'),
    'header-one': add('X-Alone'),
    'headers-repeated': lambda request: request.extra_headers.extend([('X-A', '1'), ('X-A', '2')]),
    'no-processors': processors(),
    'none-processor': processors(None),
    'wrong-processor': processors('text'),
}


def web_socket_do_extra_handshake(request):
    ACTIONS[request.uri.partition('?')[2]](request)


def web_socket_transfer_data(request):
    request.ws_stream.send_message('in')
