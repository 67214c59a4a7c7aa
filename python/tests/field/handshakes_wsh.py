"""Answers the handshake by hand, well and badly; the query names the answer."""

import base64

from pywebsocket3 import common, stream
from pywebsocket3.handshake import AbortedByUserException, hybi

_SWITCHING = b'HTTP/1.1 101 Switching Protocols\r\n'
_UPGRADE = b'Upgrade: websocket\r\nConnection: Upgrade\r\n'
_ACCEPT = b'Sec-WebSocket-Accept: ACCEPT\r\n'

_ANSWERS = {
    'by-hand': _SWITCHING + _UPGRADE + _ACCEPT + b'\r\n',
    'duplicate-accept': _SWITCHING + _UPGRADE + _ACCEPT * 2 + b'\r\n',
    'duplicate-protocol': _SWITCHING + _UPGRADE + _ACCEPT + b'Sec-WebSocket-Protocol: a\r\n' * 2 + b'\r\n',
    'no-accept': _SWITCHING + _UPGRADE + b'\r\n',
    'wrong-accept': _SWITCHING + _UPGRADE + b'Sec-WebSocket-Accept: not this\r\n\r\n',
    'folded': _SWITCHING + _UPGRADE + b'X-Folded: one\r\n  two\r\n' + _ACCEPT + b'\r\n',
    'bad-name': _SWITCHING + _UPGRADE + b'b\xe4d name: x\r\n' + _ACCEPT + b'\r\n',
    'two-hundred': b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno',
    'redirect': b'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n',
    'bare-line-feeds': (_SWITCHING + _UPGRADE + _ACCEPT + b'\r\n').replace(b'\r\n', b'\n'),
    'a-frame': b'\x81\x05hello',
    'no-end': _SWITCHING + _UPGRADE,
    'nothing': b'',
}


def web_socket_do_extra_handshake(request):
    wish = request.uri.partition('?')[2]
    if wish in _ANSWERS:
        accept = hybi.compute_accept_from_unicode(request.headers_in[common.SEC_WEBSOCKET_KEY_HEADER])
        # In small pieces, as those do who test a client's parser.
        answer = _ANSWERS[wish].replace(b'ACCEPT', accept)
        for start in range(0, len(answer), 7):
            request.connection.write(answer[start:start + 7])
        if wish == 'by-hand':
            # Ends as a WebSocket does: a close frame, and the client's eight bytes.
            request.connection.write(stream.create_close_frame(stream.create_closing_handshake_body(1001, '')))
            request.connection.read(8)
        raise AbortedByUserException('all is said')
    if wish == 'cookies':
        request.extra_headers.append(('Set-Cookie', 'a=1; Path=/\r\nSet-Cookie: b=2'))
        request.extra_headers.extend([('Set-Cookie', 'c=3'), ('X-None', None)])
    elif wish == 'authorized':
        if request.headers_in.get('authorization') != 'Basic ' + base64.b64encode(b'me:word').decode():
            request.connection.write(b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')
            raise AbortedByUserException('who is there?')
    elif wish == 'unasked':
        request.ws_protocol = 'unasked'
    elif wish == 'not-asked-for':
        request.ws_requested_protocols = None
    elif wish == 'attributes':
        request.seen = [line.decode('latin-1') for line in request.connection.get_memorized_lines()]
        assert not hasattr(request, 'ws_stream')


def web_socket_transfer_data(request):
    request.ws_stream.send_message(repr(getattr(request, 'seen', 'open')))
