"""Frames by hand (RFC 6455 5.2), for streams, tests and clients: ``mod_pywebsocket.stream`` has these names.

Nothing here knows of connections or streams, and frames that break the protocol can be made.
"""

import os
import struct

from mod_pywebsocket import _native, common
from mod_pywebsocket._stream_exceptions import BadOperationException, InvalidFrameException, MessageTooBigException

# RFC 6455 5.5.
_MAX_CONTROL_PAYLOAD = 125


class Frame:
    """A frame: flags, opcode and payload, all of them plain attributes."""

    # Whether native code has seen that a fragment's text is UTF-8 so far.
    _is_checked = False

    def __init__(self, fin=1, rsv1=0, rsv2=0, rsv3=0, opcode=None, payload=b''):
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3
        self.opcode = opcode
        self.payload = payload


def create_length_header(length, mask):
    """The length field of a header, in its shortest form, with the mask bit if ``mask``."""
    if length < 0:
        raise ValueError('a length cannot be %d' % length)
    bit = 0x80 if mask else 0
    if length <= 125:
        return struct.pack('!B', bit | length)
    if length <= 0xffff:
        return struct.pack('!BH', bit | 126, length)
    if length < 1 << 63:
        return struct.pack('!BQ', bit | 127, length)
    raise ValueError('a length has 63 bits at most: %d' % length)


def create_header(opcode, payload_length, fin, rsv1, rsv2, rsv3, mask):
    """A frame's header without a masking key. Reserved opcodes and bits are allowed.

    ``fin`` and ``rsv1`` to ``rsv3`` are 0 or 1, ``mask`` says whether a masking key follows. ``ValueError`` for
    what a header has no room for.

    >>> create_header(common.OPCODE_TEXT, 300, fin=1, rsv1=0, rsv2=0, rsv3=0, mask=False)
    b'\\x81~\\x01,'
    """
    if opcode < 0 or opcode > 0xf:
        raise ValueError('an opcode has 4 bits: %r' % opcode)
    if payload_length < 0 or payload_length >= 1 << 63:
        raise ValueError('a length has 63 bits at most: %d' % payload_length)
    if (fin | rsv1 | rsv2 | rsv3) & ~1:
        raise ValueError('FIN and RSV1 to RSV3 are 0 or 1')
    first = fin << 7 | rsv1 << 6 | rsv2 << 5 | rsv3 << 4 | opcode
    return struct.pack('!B', first) + create_length_header(payload_length, mask)


def _build_frame(header, body, mask):
    if not mask:
        return header + body
    key = os.urandom(4)
    return header + key + _native.mask(body, key, 0)


def _filter_and_format_frame_object(frame, mask, frame_filters):
    for frame_filter in frame_filters:
        frame_filter.filter(frame)
    header = create_header(frame.opcode, len(frame.payload), frame.fin, frame.rsv1, frame.rsv2, frame.rsv3, mask)
    return _build_frame(header, frame.payload, mask)


def create_binary_frame(message, opcode=common.OPCODE_BINARY, fin=1, mask=False, frame_filters=[]):
    """A frame with bytes. Nothing is checked, so frames that break the protocol can be made.

    With ``mask`` it is a client's frame, with a random key. Each of ``frame_filters`` has a method ``filter(frame)``
    that may change the :class:`Frame` before it is written.

    >>> create_binary_frame(b'Hi')
    b'\\x82\\x02Hi'
    >>> create_binary_frame(b'Hi', opcode=0xb, fin=0)
    b'\\x0b\\x02Hi'
    """
    return _filter_and_format_frame_object(Frame(fin=fin, opcode=opcode, payload=message), mask, frame_filters)


def create_text_frame(message, opcode=common.OPCODE_TEXT, fin=1, mask=False, frame_filters=[]):
    """A frame with a ``str`` in UTF-8. Nothing else is checked.

    >>> create_text_frame('Grüße')
    b'\\x81\\x07Gr\\xc3\\xbc\\xc3\\x9fe'
    """
    return create_binary_frame(message.encode('utf-8'), opcode, fin, mask, frame_filters)


def _create_control_frame(opcode, body, mask, frame_filters):
    frame = Frame(opcode=opcode, payload=body)
    for frame_filter in frame_filters:
        frame_filter.filter(frame)
    if len(frame.payload) > _MAX_CONTROL_PAYLOAD:
        raise BadOperationException(
            'the payload of a control frame is %d bytes, 125 are allowed' % len(frame.payload))
    header = create_header(frame.opcode, len(frame.payload), frame.fin, frame.rsv1, frame.rsv2, frame.rsv3, mask)
    return _build_frame(header, frame.payload, mask)


def create_ping_frame(body, mask=False, frame_filters=[]):
    """A ping of at most 125 ``bytes``; :class:`BadOperationException` for more."""
    return _create_control_frame(common.OPCODE_PING, body, mask, frame_filters)


def create_pong_frame(body, mask=False, frame_filters=[]):
    """A pong of at most 125 ``bytes``; :class:`BadOperationException` for more."""
    return _create_control_frame(common.OPCODE_PONG, body, mask, frame_filters)


def create_close_frame(body, mask=False, frame_filters=[]):
    """A close frame; :func:`create_closing_handshake_body` makes the body."""
    return _create_control_frame(common.OPCODE_CLOSE, body, mask, frame_filters)


def create_closing_handshake_body(code, reason):
    """A close frame's payload: empty for the code ``None``, else the code and the ``str`` reason.

    :class:`BadOperationException` for a code outside of 1000 to 4999, and for 1005, 1006 and 1015, which are never
    sent.

    >>> create_closing_handshake_body(common.STATUS_GOING_AWAY, 'bye')
    b'\\x03\\xe9bye'
    >>> create_close_frame(create_closing_handshake_body(None, ''))
    b'\\x88\\x00'
    """
    if code is None:
        return b''
    if not common.STATUS_NORMAL_CLOSURE <= code <= common.STATUS_USER_PRIVATE_MAX:
        raise BadOperationException('close code %d is outside of 1000 to 4999' % code)
    if code in (common.STATUS_NO_STATUS_RECEIVED, common.STATUS_ABNORMAL_CLOSURE, common.STATUS_TLS_HANDSHAKE):
        raise BadOperationException('close code %d is never sent' % code)
    return struct.pack('!H', code) + reason.encode('utf-8')


def parse_frame(receive_bytes, logger=None, ws_version=common.VERSION_HYBI_LATEST, unmask_receive=True,
                max_length=None):
    """Reads one frame: ``(opcode, payload, fin, rsv1, rsv2, rsv3)``.

    ``receive_bytes(n)`` gives exactly ``n`` bytes. ``unmask_receive`` says whether frames must be masked
    or must not; the other kind raises :class:`InvalidFrameException`, as does a length of 2**63 and more. A
    data frame above ``max_length`` raises :class:`MessageTooBigException`, its payload unread; a control frame
    above it and above 125 bytes, :class:`InvalidFrameException`.

    >>> import io
    >>> parse_frame(io.BytesIO(create_text_frame('Hi', mask=True)).read)
    (1, b'Hi', 1, 0, 0, 0)
    """
    first = receive_bytes(1)[0]
    second = receive_bytes(1)[0]
    masked = second >> 7
    if bool(masked) != bool(unmask_receive):
        raise InvalidFrameException('a frame is masked and must not be' if masked
                                    else 'a frame is not masked and must be')
    length = second & 0x7f
    minimal = True
    if length == 126:
        length, = struct.unpack('!H', receive_bytes(2))
        minimal = length >= 126
    elif length == 127:
        length, = struct.unpack('!Q', receive_bytes(8))
        if length >= 1 << 63:
            raise InvalidFrameException('a length has 63 bits at most: %d' % length)
        minimal = length > 0xffff
    if not minimal and logger is not None:
        logger.warning('The length %d of a frame is not in its shortest form', length)
    if max_length is not None and length > max_length:
        if not first & 8:
            raise MessageTooBigException('a message is longer than the limit: a frame of %d bytes' % length)
        if length > _MAX_CONTROL_PAYLOAD:
            raise InvalidFrameException('the payload of a control frame is %d bytes, 125 are allowed' % length)
    if masked:
        key = receive_bytes(4)
        payload = _native.mask(receive_bytes(length), key, 0)
    else:
        payload = receive_bytes(length)
    return first & 0xf, payload, first >> 7, first >> 6 & 1, first >> 5 & 1, first >> 4 & 1


class FragmentedFrameBuilder:
    """Makes the frames of messages: the first says what it is, those that follow continue it.

    >>> builder = FragmentedFrameBuilder(mask=False)
    >>> builder.build('Hel', end=False, binary=False), builder.build('lo', end=True, binary=False)
    (b'\\x01\\x03Hel', b'\\x80\\x02lo')
    """

    def __init__(self, mask, frame_filters=[], encode_utf8=True):
        self._mask = mask
        self._frame_filters = frame_filters
        self._encode_utf8 = encode_utf8
        # The kind of the message that is open, None between messages.
        self._open = None

    def build(self, payload_data, end, binary):
        """One frame. Raises ``ValueError`` when ``binary`` changes inside a message."""
        kind = common.OPCODE_BINARY if binary else common.OPCODE_TEXT
        if self._open is None:
            opcode = kind
        elif self._open == kind:
            opcode = common.OPCODE_CONTINUATION
        else:
            raise ValueError('a message cannot change between text and binary')
        create = create_binary_frame if binary or not self._encode_utf8 else create_text_frame
        frame = create(payload_data, opcode, 1 if end else 0, self._mask, self._frame_filters)
        self._open = None if end else kind
        return frame
