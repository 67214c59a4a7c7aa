"""The opening handshake over HTTP/1.1 (RFC 6455 4.2)."""

import binascii
import re

from mod_pywebsocket import common
from mod_pywebsocket.handshake.base import (
    HandshakeException,
    HandshakerBase,
    get_mandatory_header,
    parse_token_list,
    validate_mandatory_header,
)

# 16 bytes in base64: the last digit before the padding has only two bits of data.
_KEY_PATTERN = re.compile('[A-Za-z0-9+/]{21}[AQgw]==')


def check_request_line(request):
    """Raises :class:`HandshakeException` unless it is ``GET ... HTTP/1.1``."""
    if request.method != 'GET':
        raise HandshakeException('the method is %r instead of GET' % request.method)
    if request.protocol != 'HTTP/1.1':
        raise HandshakeException('the protocol is %r instead of HTTP/1.1' % request.protocol)


def compute_accept(key):
    """``Sec-WebSocket-Accept`` for a key; both are ``bytes``.

    >>> compute_accept(b'dGhlIHNhbXBsZSBub25jZQ==')
    b's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    from hashlib import sha1
    digest = sha1(key + common.WEBSOCKET_ACCEPT_UUID).digest()
    return binascii.b2a_base64(digest, newline=False)


def compute_accept_from_unicode(unicode_key):
    """``Sec-WebSocket-Accept`` as ``bytes`` for a key as ``str``."""
    return compute_accept(unicode_key.encode('utf-8'))


def format_header(name, value):
    """A header's line. Nothing is checked, so it can carry what no honest header would.

    >>> format_header('Set-Cookie', 'id=1')
    'Set-Cookie: id=1\\r\\n'
    """
    return '%s: %s\r\n' % (name, value)


class Handshaker(HandshakerBase):
    """The handshake of one request."""

    def _protocol_rfc(self):
        return 'RFC 6455'

    def _validate_request(self):
        request = self._request
        check_request_line(request)
        validate_mandatory_header(request, common.UPGRADE_HEADER, common.WEBSOCKET_UPGRADE_TYPE)
        connection = parse_token_list(get_mandatory_header(request, common.CONNECTION_HEADER))
        if common.UPGRADE_CONNECTION_TYPE.lower() not in (token.lower() for token in connection):
            raise HandshakeException('the Connection header does not name Upgrade: %r' % connection)
        get_mandatory_header(request, common.HOST_HEADER)

    def _set_accept(self):
        key = get_mandatory_header(self._request, common.SEC_WEBSOCKET_KEY_HEADER)
        if not _KEY_PATTERN.fullmatch(key):
            raise HandshakeException('%r is not a Sec-WebSocket-Key' % key)
        self._request._accept = compute_accept_from_unicode(key)

    def _send_handshake(self):
        request = self._request
        lines = [
            'HTTP/1.1 101 Switching Protocols\r\n',
            format_header(common.UPGRADE_HEADER, common.WEBSOCKET_UPGRADE_TYPE),
            format_header(common.CONNECTION_HEADER, common.UPGRADE_CONNECTION_TYPE),
            format_header(common.SEC_WEBSOCKET_ACCEPT_HEADER, request._accept.decode('ascii')),
        ]
        if request.ws_protocol is not None:
            lines.append(format_header(common.SEC_WEBSOCKET_PROTOCOL_HEADER, request.ws_protocol))
        if request.ws_extensions:
            lines.append(format_header(common.SEC_WEBSOCKET_EXTENSIONS_HEADER,
                                       common.format_extensions(request.ws_extensions)))
        lines.extend(format_header(name, value) for name, value in request.extra_headers)
        lines.append('\r\n')
        request.connection.write(''.join(lines).encode('utf-8'))
