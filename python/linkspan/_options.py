"""The options of ``connect`` and ``connect_raw``, checked, in the form that native code takes."""

from __future__ import annotations

import os

# A year: no wait is longer.
_MAX_SECONDS = 31_536_000


def build(*, subprotocols=(), headers=(), origin=None, deflate=False, ca=None, certificate=None, private_key=None,
          server_name=None, pins=(), proxy=None, proxy_ca=None, max_redirects=0, max_message_bytes=16 << 20,
          connect_timeout=30.0, handshake_timeout=10.0, message_timeout=300.0, write_timeout=60.0, close_timeout=5.0,
          ping_interval=30.0, pong_timeout=20.0):
    """A dict for ``_linkspan.Dial``. Raises ``ValueError`` or ``TypeError`` that names the option."""
    fields = [(_text('a header\'s name', name), _text('the header %s' % name, value)) for name, value in _pairs(headers)]
    if origin is not None:
        fields.append(('Origin', _text('origin', origin)))
    if (certificate is None) != (private_key is None):
        raise ValueError('certificate and private_key go together: two PEM files')
    return {
        'subprotocols': _texts('subprotocols', subprotocols),
        'headers': fields,
        'deflate': bool(deflate),
        'ca': _certificates('ca', ca),
        'certificate': _path(certificate),
        'private_key': _path(private_key),
        'server_name': None if server_name is None else _text('server_name', server_name),
        'pins': _texts('pins', pins),
        'proxy': None if proxy is None else _text('proxy', proxy),
        'proxy_ca': _certificates('proxy_ca', proxy_ca),
        'max_redirects': _count('max_redirects', max_redirects, (1 << 32) - 1),
        'max_message_bytes': _count('max_message_bytes', max_message_bytes, 1 << 40),
        'connect_timeout': _seconds('connect_timeout', connect_timeout),
        'handshake_timeout': _seconds('handshake_timeout', handshake_timeout),
        'message_timeout': _seconds('message_timeout', message_timeout),
        'write_timeout': _seconds('write_timeout', write_timeout),
        'close_timeout': _seconds('close_timeout', close_timeout),
        'ping_interval': _seconds('ping_interval', ping_interval),
        'pong_timeout': _seconds('pong_timeout', pong_timeout),
    }


def _pairs(headers):
    if isinstance(headers, (str, bytes)):
        raise TypeError('headers are a mapping, or pairs of a name and a value: %r' % (headers,))
    pairs = list(headers.items()) if hasattr(headers, 'items') else [tuple(pair) for pair in headers]
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError('a header is a name and a value: %r' % (pair,))
    return pairs


def _text(what, value):
    if not isinstance(value, str):
        raise TypeError('%s is a str, not %s' % (what, type(value).__name__))
    return value


def _texts(what, values):
    if isinstance(values, (str, bytes)):
        raise TypeError('%s is a list of str: [%r]' % (what, values))
    return [_text('each of %s' % what, value) for value in values]


def _path(value):
    return None if value is None else os.fspath(value)


def _certificates(what, value):
    if value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, bytearray):
        return bytes(value)
    try:
        return os.fspath(value)
    except TypeError:
        raise TypeError('%s is the path of a PEM file, or PEM text as bytes' % what) from None


def _count(what, value, most):
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError('%s is a number from 0 to %d: %r' % (what, most, value))
    return value


def _seconds(what, value):
    if value is None:
        return 0.0
    if not isinstance(value, (int, float)) or not 0 <= value <= _MAX_SECONDS:
        raise ValueError('%s is a number of seconds, or None for no limit: %r' % (what, value))
    return float(value)
