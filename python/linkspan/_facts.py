"""What is known of a connection, and the values that tell it: the same for every kind of client."""

from __future__ import annotations

import os
from collections import namedtuple

from linkspan import _linkspan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, Optional, Union

    _Bytes = Union[bytes, bytearray, memoryview]
    _Message = Union[str, bytes]

    class Response(NamedTuple):
        """The server's answer to the opening handshake."""
        status: int
        reason: str
        headers: list[tuple[str, str]]
        body: bytes

    class Frame(NamedTuple):
        """One frame as it was read; its payload unmasked, not inflated, not judged."""
        opcode: int
        payload: bytes
        fin: bool
        rsv: int
        mask: Optional[bytes]
else:
    Response = namedtuple('Response', 'status reason headers body')
    Response.__doc__ = """The server's answer to the opening handshake: ``status`` (101), ``reason``, ``headers``, a list
of pairs of ``str``, and ``body``, ``bytes``."""
    Response.__module__ = 'linkspan'

    Frame = namedtuple('Frame', 'opcode payload fin rsv mask')
    Frame.__doc__ = """One frame as it was read: ``opcode`` 0 to 15, ``payload`` (``bytes``, unmasked, not inflated, not
judged), ``fin``, ``rsv`` (4 is RSV1, 2 is RSV2, 1 is RSV3) and ``mask``, its four bytes or ``None``."""
    Frame.__module__ = 'linkspan'


def frame(opcode: int, payload: Union[str, _Bytes] = b'', *, fin: bool = True, rsv: int = 0,
          mask: Union[bool, bytes] = True, length: Optional[int] = None) -> bytes:
    """The bytes of one frame (RFC 6455 5.2), right or wrong.

    ``opcode``
        0 to 15: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong; the others are reserved.
    ``payload``
        Bytes, or a ``str`` that is sent as UTF-8. Of any length, also where the rules allow 125 bytes.
    ``fin``
        Whether it is its message's last.
    ``rsv``
        The reserved bits, 0 to 7: 4 is RSV1 ("compressed"), 2 is RSV2, 1 is RSV3.
    ``mask``
        ``True`` for a fresh random key, ``False`` for none, or the key's four bytes.
    ``length``
        What the header says of the payload's length, where that is to be a lie.

    Raises ``ValueError`` for what no header can say. Of half a frame: ``frame(1, 'hello')[:4]``.
    """
    if not 0 <= opcode <= 15:
        raise ValueError('an opcode is 0 to 15: %r' % (opcode,))
    if not 0 <= rsv <= 7:
        raise ValueError('rsv is 0 to 7, RSV1 is 4: %r' % (rsv,))
    if length is not None and not 0 <= length < 1 << 64:
        raise ValueError('a length is 0 to 2**64 - 1: %r' % (length,))
    if mask is True:
        key = os.urandom(4)
    elif mask is False:
        key = None
    else:
        key = bytes(mask)
        if len(key) != 4:
            raise ValueError('a mask has four bytes: %r' % (mask,))
    return _linkspan.frame_bytes(opcode, payload, fin, rsv, key, length)


frame.__module__ = 'linkspan'


def check_code(code: Optional[int]) -> Optional[int]:
    """A close code that native code can take; it says itself which may be sent."""
    if code is not None and not 0 <= code <= 0xffff:
        raise ValueError('close code %r may not be sent' % (code,))
    return code


class Facts:
    """What can be asked of a WebSocket at any time, also after its end."""

    _native: _linkspan.WebSocket

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3

    @property
    def url(self) -> str:
        """The URL that it is connected to; after redirects, where they led."""
        return self._native.url

    @property
    def subprotocol(self) -> Optional[str]:
        """The subprotocol that the server chose; ``None`` when it chose none."""
        return self._native.subprotocol

    @property
    def extensions(self) -> str:
        """The agreed extensions as a header names them, ``'permessage-deflate'``; empty when there are none."""
        return self._native.extensions

    @property
    def response(self) -> Response:
        """The server's answer to the opening handshake."""
        return Response(*self._native.response)

    @property
    def ready_state(self) -> int:
        """``OPEN`` (1), ``CLOSING`` (2) or ``CLOSED`` (3), as browsers count."""
        return self._native.ready_state

    @property
    def buffered_amount(self) -> int:
        """Payload bytes that were accepted for sending and have not left."""
        return self._native.buffered_amount

    @property
    def close_code(self) -> Optional[int]:
        """The server's close code, 1005 without one, 1006 without a close frame; ``None`` before the end."""
        info = self._native.close_info
        return None if info is None else info[0]

    @property
    def close_reason(self) -> Optional[str]:
        """The text beside the close code; ``None`` before the end."""
        info = self._native.close_info
        return None if info is None else info[1]

    @property
    def peer(self) -> str:
        """The other end, ``'127.0.0.1:9998'``; a proxy where there is one."""
        return self._native.peer

    @property
    def peer_certificate(self) -> Optional[bytes]:
        """The server's TLS certificate, DER; ``None`` without TLS."""
        return self._native.peer_certificate

    def fileno(self) -> int:
        """The descriptor, for ``select`` and the like; not to be read, written or closed."""
        return self._native.fileno()

    def abort(self) -> None:
        """Ends the connection at once, without a closing handshake: the server sees 1006."""
        self._native.abort()

    def __repr__(self) -> str:
        try:
            state = ('connecting', 'open', 'closing', 'closed')[self.ready_state]
            return '<linkspan.%s %s %s>' % (type(self).__name__, self.url, state)
        except Exception:
            return '<linkspan.%s>' % type(self).__name__
