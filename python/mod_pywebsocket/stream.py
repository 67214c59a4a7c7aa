"""One WebSocket, as a handler uses it: :class:`Stream`. And frames by hand, for tests and clients.

A handler finds its stream in ``request.ws_stream``. Who writes a client makes one::

    options = StreamOptions()
    options.mask_send, options.unmask_receive = True, False
    request.ws_stream = Stream(request, options)

where ``request`` is any object with a ``connection`` and with ``ws_version = 13``, once the handshake is done.

A connection is anything with ``read(n)`` (at least one byte, at most ``n``, ``b''`` at the end) and
``write(bytes)``. It is looked up on each use and never asked for more than the frame at hand needs. On a
connection of our own server a plain message takes a short way through native code; whatever is unusual
about it (a fragment, a control frame, an extension) is left unread for the Python code below.
"""

import struct
import threading
import time

from mod_pywebsocket import _native, common, util
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket._frame import (  # noqa: F401 - the names of this module
    _MAX_CONTROL_PAYLOAD,
    Frame,
    FragmentedFrameBuilder,
    _build_frame,
    _create_control_frame,
    _filter_and_format_frame_object,
    create_binary_frame,
    create_close_frame,
    create_closing_handshake_body,
    create_header,
    create_length_header,
    create_ping_frame,
    create_pong_frame,
    create_text_frame,
    parse_frame,
)
from mod_pywebsocket._stream_exceptions import (
    BadOperationException,
    ConnectionTerminatedException,
    InvalidFrameException,
    InvalidUTF8Exception,
    MessageTooBigException,
    UnsupportedFrameException,
)

# The longest payload that a frame's header can announce.
_NO_LIMIT = (1 << 63) - 1
_TEXT = common.OPCODE_TEXT
_BINARY = common.OPCODE_BINARY
# What a message may be.
_KNOWN_KINDS = frozenset((common.OPCODE_TEXT, common.OPCODE_BINARY, common.OPCODE_CLOSE, common.OPCODE_PING,
                          common.OPCODE_PONG))
# Codes that a close frame may carry (RFC 6455 7.4): those of the IANA registry, libraries', applications'.
_CODES_OF_THE_REGISTRY = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))

# What the pings of a server's own keepalive carry.
_KEEPALIVE = b'keepalive'


class StreamOptions:
    """How a :class:`Stream` behaves.

    ``outgoing_frame_filters``, ``incoming_frame_filters``
        Objects with a method ``filter(frame)`` that changes a :class:`Frame`.
    ``outgoing_message_filters``
        Objects with a method ``filter(message, end, binary)`` that gives back what to send.
    ``incoming_message_filters``
        Objects with a method ``filter(message)`` that gives back, of the ``bytes`` that came, what they mean.
    ``encode_text_message_to_utf8``
        ``False`` where a filter has made bytes of text already.
    ``mask_send``, ``unmask_receive``
        ``False`` and ``True`` for a server; the other way round for a client (RFC 6455 5.1).
    ``max_message_bytes``
        The longest message to receive; ``None`` is without limit.
    ``close_timeout``
        Seconds that the peer has to answer a close frame; ``None`` is for ever.
    """

    def __init__(self):
        self.outgoing_frame_filters = []
        self.incoming_frame_filters = []
        self.outgoing_message_filters = []
        self.incoming_message_filters = []
        self.encode_text_message_to_utf8 = True
        self.mask_send = False
        self.unmask_receive = True
        self.max_message_bytes = None
        self.close_timeout = None


class Stream:
    """An open WebSocket: ``request.ws_stream`` of a handler.

    :meth:`receive_message` waits for what the client sends, :meth:`send_message` sends, :meth:`close_connection` ends.
    One thread may receive while others send. ``request.client_terminated`` and
    ``request.server_terminated`` say which close frames have passed.

    Methods whose names begin with an underscore are for tests that need single frames: ``_receive_frame()`` reads
    one, unmasked and otherwise as it came, and ``_send_pong(body)`` writes a pong that nobody asked for.
    """

    def __init__(self, request, options):
        self._logger = util.get_class_logger(self)
        self._options = options
        self._request = request
        # The line that counts messages which Python code reads and writes; none when nobody asks for numbers.
        self._counted = None
        self._sent_parts = 0
        request.client_terminated = False
        request.server_terminated = False
        # What somebody's own options need not have.
        self._max_message_bytes = getattr(options, 'max_message_bytes', None)
        self._close_timeout = getattr(options, 'close_timeout', None)
        self._writer = FragmentedFrameBuilder(
            options.mask_send, options.outgoing_frame_filters, options.encode_text_message_to_utf8)
        # Bodies of pings without a pong yet.
        self._ping_queue = []
        # Payloads of the message that is being received in fragments, and its opcode.
        self._received_fragments = []
        self._fragmented_opcode = None
        self._received_bytes = 0
        # What the last frame belonged to.
        self._original_opcode = None
        self._utf8 = None
        # A text was refused before its end: what comes next cannot be told.
        self._is_cut = False
        # When the peer must have answered our close frame.
        self._answer_by = None
        # Frames leave one at a time, and a compressor sees them in the order in which they leave.
        self._sending = threading.RLock()

    # Receiving.

    def receive_message(self):
        """Waits for a message: ``str`` for text, ``bytes`` for binary, ``None`` when the peer has closed.

        Pings are answered inside. Raises :class:`BadOperationException` after the close,
        :class:`ConnectionTerminatedException` when the connection ends without one, and
        :class:`InvalidFrameException`, :class:`UnsupportedFrameException`, :class:`InvalidUTF8Exception`,
        :class:`MessageTooBigException`.
        """
        request, options = self._request, self._options
        if request.client_terminated:
            self._check_receivable()
        connection = request.connection
        # What _take_frame would find out, in fewer steps: this is what a message costs.
        if (type(connection) is _StandaloneConnection and type(self) is Stream and connection._receive is not None
                and self._fragmented_opcode is None and options.unmask_receive
                and not options.incoming_frame_filters and not options.incoming_message_filters):
            message = self._receive_plain_message(connection._receive)
            if message is not None:
                return message
        while True:
            message = self._take_frame()
            if message is None:
                continue
            opcode = self._original_opcode
            if opcode == common.OPCODE_TEXT or opcode == common.OPCODE_BINARY:
                return message
            if opcode == common.OPCODE_CLOSE:
                self._process_close_message(message)
                return None
            if opcode == common.OPCODE_PING:
                self._process_ping_message(message)
            else:
                self._process_pong_message(message)

    def _check_receivable(self):
        if self._request.client_terminated:
            raise BadOperationException('the client has closed, so there is nothing more to receive')

    def _take_frame(self):
        """Waits for one frame: the message that it completes, of the kind ``_original_opcode``, or ``None``."""
        channel = self._native_channel()
        options = self._options
        if channel is not None and self._fragmented_opcode is None and self._is_plain_receiver():
            message = self._receive_plain_message(channel.receive_message)
            if message is not None:
                return message
        if self._answer_by is not None:
            self._wait_for_what_is_left()
        frame = self._next_frame(channel)
        if common.is_control_opcode(frame.opcode) and len(frame.payload) > _MAX_CONTROL_PAYLOAD:
            raise InvalidFrameException(
                'the payload of a control frame is %d bytes, 125 are allowed' % len(frame.payload))
        for frame_filter in options.incoming_frame_filters:
            frame_filter.filter(frame)
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise UnsupportedFrameException(
                'a reserved bit is set: RSV1 %d, RSV2 %d, RSV3 %d' % (frame.rsv1, frame.rsv2, frame.rsv3))
        message = self._get_message_from_frame(frame)
        if message is None:
            return None
        for message_filter in options.incoming_message_filters:
            message = message_filter.filter(message)
        opcode = self._original_opcode
        if self._counted is not None and not common.is_control_opcode(opcode):
            self._counted.count_received(len(message))
        if opcode == common.OPCODE_TEXT:
            try:
                return message.decode('utf-8')
            except UnicodeDecodeError as e:
                raise InvalidUTF8Exception(e)
        if opcode not in _KNOWN_KINDS:
            raise UnsupportedFrameException('opcode %d is reserved' % opcode)
        return message

    def _is_plain_receiver(self):
        options = self._options
        return (options.unmask_receive and not options.incoming_frame_filters
                and not options.incoming_message_filters)

    def _native_channel(self):
        """The native connection underneath, when no Python code has a say in what passes."""
        connection = self._request.connection
        if type(connection) is _StandaloneConnection and type(self) is Stream:
            return connection._channel
        return None

    def _receive_plain_message(self, receive):
        """The next message if it is an ordinary one; ``None``, and it waits, for anything else."""
        try:
            # Between messages all of the limit is left.
            message = receive(self._max_message_bytes)
        except (ValueError, OSError, EOFError) as e:
            self._refuse_message(e)
        if type(message) is bytes:
            self._original_opcode = _BINARY
        elif message is not None:
            self._original_opcode = _TEXT
        return message

    def _refuse_message(self, error):
        """Raises what an ordinary message comes to that native code could not give."""
        if isinstance(error, ValueError):
            self._is_cut = self._native_channel().is_cut()
            raise InvalidUTF8Exception(error)
        raise ConnectionTerminatedException('receiving failed: %s' % error)

    def _room(self):
        """How many bytes the message that is being received may still bring."""
        limit = self._max_message_bytes
        return _NO_LIMIT if limit is None else max(limit - self._received_bytes, 0)

    def _next_frame(self, channel):
        """The next frame, in one step where it is native."""
        if channel is None or not self._options.unmask_receive:
            return self._receive_frame_as_frame_object()
        utf8 = self._text_check()
        try:
            parts = channel.receive_frame(self._room(), utf8, self._fragmented_opcode == common.OPCODE_TEXT)
        except ValueError as e:
            # The message, if not this frame, goes on.
            self._is_cut = True
            raise InvalidUTF8Exception(e)
        except (OSError, EOFError) as e:
            raise ConnectionTerminatedException('receiving failed: %s' % e)
        if parts is None:
            return self._receive_frame_as_frame_object()
        opcode, payload, fin, rsv1, rsv2, rsv3 = parts
        frame = Frame(fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3, opcode=opcode, payload=payload)
        frame._is_checked = utf8 is not None
        return frame

    def _text_check(self):
        """What checks the text that may come next as it arrives; ``None`` where none is to be checked so."""
        if self._fragmented_opcode == common.OPCODE_BINARY or not self._is_plain_receiver():
            return None
        if self._utf8 is None:
            self._utf8 = _native.Utf8()
        return self._utf8

    def get_last_received_opcode(self):
        """The opcode of what :meth:`receive_message` gave last: 1 text, 2 binary, 8 close."""
        return self._original_opcode

    def receive_filtered_frame(self):
        """One unfragmented text or binary frame behind all filters, as :class:`Frame`."""
        frame = self._receive_frame_as_frame_object()
        for frame_filter in self._options.incoming_frame_filters:
            frame_filter.filter(frame)
        if frame.opcode not in (common.OPCODE_TEXT, common.OPCODE_BINARY) or not frame.fin:
            raise InvalidFrameException('expected one whole text or binary frame, found opcode %d' % frame.opcode)
        for message_filter in self._options.incoming_message_filters:
            frame.payload = message_filter.filter(frame.payload)
        return frame

    def receive_bytes(self, length):
        """Exactly ``length`` raw bytes; :class:`ConnectionTerminatedException` when there are fewer."""
        if length <= 0:
            return b''
        part = self._read(length)
        if len(part) == length:
            return part
        parts = [part]
        missing = length - len(part)
        while missing > 0:
            part = self._read(missing)
            parts.append(part)
            missing -= len(part)
        return b''.join(parts)

    def _read(self, length):
        if self._answer_by is not None:
            self._wait_for_what_is_left()
        try:
            data = self._request.connection.read(length)
        except OSError as e:
            raise ConnectionTerminatedException('receiving failed: %s' % e)
        if not data:
            raise ConnectionTerminatedException(
                'the peer %r ended the connection' % (self._request.connection.remote_addr,))
        return data

    def _read_until(self, delim_char):
        taken = bytearray()
        while True:
            c = self._read(1)
            if c == delim_char:
                return bytes(taken)
            taken += c

    def _receive_frame(self):
        return parse_frame(receive_bytes=self.receive_bytes, logger=self._logger,
                           ws_version=self._request.ws_version, unmask_receive=self._options.unmask_receive,
                           max_length=self._room())

    def _receive_frame_as_frame_object(self):
        opcode, payload, fin, rsv1, rsv2, rsv3 = self._receive_frame()
        return Frame(fin=fin, rsv1=rsv1, rsv2=rsv2, rsv3=rsv3, opcode=opcode, payload=payload)

    def _get_message_from_frame(self, frame):
        """The payload of the message that this frame completes, or ``None``."""
        opcode = frame.opcode
        if common.is_control_opcode(opcode):
            # RFC 6455 5.4, 5.5: never in fragments, and allowed between those of a message.
            if not frame.fin:
                raise InvalidFrameException('a control frame is fragmented')
            self._original_opcode = opcode
            return frame.payload
        if opcode == common.OPCODE_CONTINUATION:
            if self._fragmented_opcode is None:
                raise InvalidFrameException('a continuation frame without a message to continue')
        elif self._fragmented_opcode is not None:
            raise InvalidFrameException('a new message inside another one')
        elif frame.fin:
            self._original_opcode = opcode
            return frame.payload
        else:
            self._fragmented_opcode = opcode
            if not frame._is_checked:
                self._utf8 = _native.Utf8()
        self._original_opcode = self._fragmented_opcode
        if (self._original_opcode == common.OPCODE_TEXT and not self._options.incoming_message_filters
                and not frame._is_checked and not self._utf8.feed(frame.payload)):
            # RFC 6455 8.1: at the first bad byte, not only at the end.
            self._is_cut = not frame.fin
            raise InvalidUTF8Exception('a text message is not UTF-8')
        self._received_fragments.append(frame.payload)
        self._received_bytes += len(frame.payload)
        if not frame.fin:
            return None
        message = b''.join(self._received_fragments)
        self._received_fragments = []
        self._received_bytes = 0
        self._fragmented_opcode = None
        return message

    def _process_close_message(self, message):
        if self._note_close(message):
            self._answer_close(message, self._close_answer())

    def _note_close(self, message):
        """Keeps what the peer's close frame says; whether it is to be answered."""
        request = self._request
        request.client_terminated = True
        if len(message) == 0:
            request.ws_close_code = common.STATUS_NO_STATUS_RECEIVED
        elif len(message) == 1:
            raise InvalidFrameException('a close frame of one byte')
        else:
            request.ws_close_code, = struct.unpack('!H', message[:2])
            request.ws_close_reason = message[2:].decode('utf-8', 'replace')
        # It may be the answer to ours.
        return not request.server_terminated

    def _close_answer(self):
        """The code and the reason to answer with, the handler's if it has an opinion."""
        if hasattr(self._request, '_dispatcher'):
            return self._request._dispatcher.passive_closing_handshake(self._request)
        return common.STATUS_NORMAL_CLOSURE, ''

    def _answer_close(self, message, answer):
        request = self._request
        code, reason = answer
        if code is None and reason:
            self._logger.warning('The handler closes with a reason but no code; the reason %r is left out', reason)
            reason = ''
        elif reason is None:
            reason = ''
        if len(message) >= 2:
            # The handler has seen what came; the answer names the rule that was broken.
            if not _may_be_received(request.ws_close_code):
                code, reason = common.STATUS_PROTOCOL_ERROR, ''
            elif not _native.Utf8().feed(message[2:], True):
                code, reason = common.STATUS_INVALID_FRAME_PAYLOAD_DATA, ''
        self._send_closing_handshake(code, reason)

    def _process_ping_message(self, message):
        try:
            handler = self._request.on_ping_handler
            if handler:
                return handler(self._request, message)
        except AttributeError:
            pass
        self._send_pong(message)

    def _process_pong_message(self, message):
        if message == _KEEPALIVE and message not in self._ping_queue:
            # It answers the server's own.
            return None
        # RFC 6455 5.5.3: a pong answers the latest ping, and with it all before.
        for index, body in enumerate(self._ping_queue):
            if body == message:
                del self._ping_queue[:index + 1]
                break
        try:
            handler = self._request.on_pong_handler
            if handler:
                return handler(self._request, message)
        except AttributeError:
            pass

    # Sending.

    def send_message(self, message, end=True, binary=False):
        """Sends a text (``str``) or, with ``binary``, any bytes-like object.

        With ``end=False`` it is a fragment, and the message goes on with the next call. Raises
        :class:`BadOperationException` after :meth:`close_connection`, and what the connection raises when
        the peer is gone.
        """
        request, options = self._request, self._options
        connection = request.connection
        if (type(connection) is _StandaloneConnection and type(self) is Stream and connection._send is not None
                and type(message) is (bytes if binary else str) and end and not request.server_terminated
                and self._writer._open is None and not options.mask_send
                and not options.outgoing_message_filters and not options.outgoing_frame_filters):
            self._send_plain_message(connection._send, message, binary)
            return
        self._check_sendable(message, binary)
        with self._sending:
            self._write(self._build_message(message, end, binary))

    def _check_sendable(self, message, binary):
        if self._request.server_terminated:
            raise BadOperationException('this end has closed, so nothing more can be sent')
        if binary and isinstance(message, str):
            raise BadOperationException('a binary message is bytes, not str')

    def _build_message(self, message, end, binary):
        if self._counted is not None:
            self._sent_parts += len(message.encode('utf-8', 'replace') if isinstance(message, str) else message)
            if end:
                self._counted.count_sent(self._sent_parts)
                self._sent_parts = 0
        for message_filter in self._options.outgoing_message_filters:
            message = message_filter.filter(message, end, binary)
        try:
            return self._writer.build(message, end, binary)
        except ValueError as e:
            raise BadOperationException(e)

    def _is_plain_sender(self):
        options = self._options
        return (self._writer._open is None and not options.mask_send
                and not options.outgoing_message_filters and not options.outgoing_frame_filters)

    def _send_plain_message(self, send_frame, message, binary):
        try:
            return send_frame(message, 0x82 if binary else 0x81)
        except Exception as e:
            self._refuse_sending(e)

    def _refuse_sending(self, error):
        """Raises what an ordinary message comes to that could not be sent."""
        if isinstance(error, UnicodeEncodeError):
            raise BadOperationException(error)
        self._prepend_peer(error)
        raise error

    def send_ping(self, body, binary=False):
        """Sends a ping of at most 125 bytes; a ``str`` is encoded unless ``binary``."""
        if not binary and isinstance(body, str):
            body = body.encode('utf-8')
        frame = create_ping_frame(body, self._options.mask_send, self._options.outgoing_frame_filters)
        self._write(frame)
        self._ping_queue.append(body)

    def _send_pong(self, body):
        frame = create_pong_frame(body, self._options.mask_send, self._options.outgoing_frame_filters)
        self._write(frame)

    def close_connection(self, code=common.STATUS_NORMAL_CLOSURE, reason='', wait_response=True):
        """Closes with a code and a reason, or with neither, and waits for the peer's answer.

        Nothing happens when this end has closed already. Going away (1001) and protocol errors (1002) do
        not wait, nor does the refusal of a text before its end. Raises
        :class:`ConnectionTerminatedException` when something else than the answer comes, or nothing in time.
        """
        if self._request.server_terminated:
            return
        own_timeout = self._start_waiting()
        try:
            if self._send_close(code, reason, wait_response):
                self._check_close_answer(self.receive_message())
        finally:
            if self._answer_by is not None:
                self._answer_by = None
                self._request._request_handler.connection.settimeout(own_timeout)

    def _send_close(self, code, reason, wait_response):
        """Sends a close frame unless one was sent; whether the peer's is to be waited for."""
        if self._request.server_terminated:
            return False
        if code is None:
            if reason is not None and len(reason) > 0:
                raise BadOperationException('a close without a code has no reason')
            reason = ''
        elif not isinstance(reason, (str, bytes)):
            raise BadOperationException('a close reason is a str, not %s' % type(reason).__name__)
        self._send_closing_handshake(code, reason)
        return bool(wait_response) and not self._is_cut and code not in (
            common.STATUS_GOING_AWAY, common.STATUS_PROTOCOL_ERROR)

    def _check_close_answer(self, message):
        # A peer in the middle of something may send it first; the original takes that for a failure too.
        if message is not None:
            raise ConnectionTerminatedException('the peer sent a message instead of its close frame')

    def _start_waiting(self):
        """From now on the peer has ``close_timeout`` seconds; the connection's timeout until now."""
        seconds = self._close_timeout
        raw = getattr(getattr(self._request, '_request_handler', None), 'connection', None)
        if not seconds or not hasattr(raw, 'settimeout'):
            return None
        own_timeout = raw.gettimeout()
        if own_timeout is None:
            self._answer_by = time.monotonic() + seconds
            raw.settimeout(seconds)
        return own_timeout

    def _wait_for_what_is_left(self):
        seconds = self._answer_by - time.monotonic()
        if seconds <= 0:
            raise ConnectionTerminatedException('the peer has not answered the close frame in time')
        self._request._request_handler.connection.settimeout(seconds)

    def _send_closing_handshake(self, code, reason):
        body = create_closing_handshake_body(code, reason)
        frame = create_close_frame(
            body, mask=self._options.mask_send, frame_filters=self._options.outgoing_frame_filters)
        self._request.server_terminated = True
        self._request._sent_close_code = common.STATUS_NO_STATUS_RECEIVED if code is None else code
        self._write(frame)

    def _write(self, bytes_to_write):
        try:
            with self._sending:
                self._request.connection.write(bytes_to_write)
        except Exception as e:
            self._prepend_peer(e)
            raise

    def _prepend_peer(self, error):
        util.prepend_message_to_exception(
            'sending to %r failed: ' % (self._request.connection.remote_addr,), error)


def _may_be_received(code):
    return code in _CODES_OF_THE_REGISTRY or 3000 <= code <= 4999
