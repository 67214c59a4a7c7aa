"""WebSocket extensions: what a client offers becomes processors, and one of them answers.

A handler finds them in ``request.ws_extension_processors`` during ``web_socket_do_extra_handshake`` and may
configure, replace or remove them::

    for processor in request.ws_extension_processors:
        if isinstance(processor, PerMessageDeflateExtensionProcessor):
            processor.set_client_max_window_bits(10)

An extension of one's own is a subclass of :class:`ExtensionProcessorInterface`, put into that list, or for all
handlers into ``_available_processors`` under its name.
"""

import zlib

from mod_pywebsocket import common, util
from mod_pywebsocket._stream_exceptions import InvalidFrameException, MessageTooBigException

# Name in the header to processor class; others may be added.
_available_processors = {}


class ExtensionProcessorInterface:
    """What a processor of an offered extension is.

    A subclass answers the offer in ``_get_extension_response_internal()``, with an ``ExtensionParameter`` or ``None``,
    and adds its filters in ``_setup_stream_options_internal(stream_options)``.
    """

    def __init__(self, request):
        self._logger = util.get_class_logger(self)
        self._request = request
        self._active = True

    def request(self):
        """The offer, an ``ExtensionParameter``."""
        return self._request

    def name(self):
        """A name for consistency checks; ``None`` here."""
        return None

    def check_consistency_with_other_processors(self, processors):
        """May switch this processor or others off; nothing here."""

    def set_active(self, active):
        """An inactive processor does not answer."""
        self._active = active

    def is_active(self):
        """Whether it may answer."""
        return self._active

    def _get_extension_response_internal(self):
        return None

    def get_extension_response(self):
        """The answer, an ``ExtensionParameter``, or ``None`` to decline, which makes it inactive."""
        if not self._active:
            return None
        response = self._get_extension_response_internal()
        if response is None:
            self._active = False
        return response

    def _setup_stream_options_internal(self, stream_options):
        pass

    def setup_stream_options(self, stream_options):
        """Adds its filters to the options of the stream."""
        if self._active:
            self._setup_stream_options_internal(stream_options)


def _parse_window_bits(bits):
    """8 to 15 written without leading zero; ``ValueError`` for anything else."""
    if bits not in ('8', '9', '10', '11', '12', '13', '14', '15'):
        raise ValueError('window bits are 8 to 15, not %r' % (bits,))
    return int(bits)


class PerMessageDeflateExtensionProcessor(ExtensionProcessorInterface):
    """permessage-deflate (RFC 7692), the server's side."""

    _SERVER_MAX_WINDOW_BITS_PARAM = 'server_max_window_bits'
    _SERVER_NO_CONTEXT_TAKEOVER_PARAM = 'server_no_context_takeover'
    _CLIENT_MAX_WINDOW_BITS_PARAM = 'client_max_window_bits'
    _CLIENT_NO_CONTEXT_TAKEOVER_PARAM = 'client_no_context_takeover'

    def __init__(self, request):
        super().__init__(request)
        self._client_max_window_bits = None
        self._client_no_context_takeover = False

    def name(self):
        """``'deflate'``, whatever the name in the header."""
        return 'deflate'

    def set_client_max_window_bits(self, value):
        """Before the answer: asks the client for a window of 2**value bytes; it must have offered that."""
        self._client_max_window_bits = value

    def set_client_no_context_takeover(self, value):
        """Before the answer: asks the client to start each message with an empty window."""
        self._client_no_context_takeover = value

    def set_bfinal(self, value):
        """After the answer: ends each message with a final block."""
        self._framer.set_bfinal(value)

    def enable_outgoing_compression(self):
        """After the answer: compress what is sent."""
        self._framer.set_compress_outgoing_enabled(True)

    def disable_outgoing_compression(self):
        """After the answer: send as it is; receiving stays possible."""
        self._framer.set_compress_outgoing_enabled(False)

    def _get_extension_response_internal(self):
        offer = self._request
        known = (self._SERVER_MAX_WINDOW_BITS_PARAM, self._SERVER_NO_CONTEXT_TAKEOVER_PARAM,
                 self._CLIENT_MAX_WINDOW_BITS_PARAM, self._CLIENT_NO_CONTEXT_TAKEOVER_PARAM)
        for name in offer.get_parameter_names():
            if name not in known:
                return self._decline('it has the unknown parameter %r' % name)

        server_bits = None
        if offer.has_parameter(self._SERVER_MAX_WINDOW_BITS_PARAM):
            try:
                server_bits = _parse_window_bits(offer.get_parameter_value(self._SERVER_MAX_WINDOW_BITS_PARAM))
            except ValueError as e:
                return self._decline('%s: %s' % (self._SERVER_MAX_WINDOW_BITS_PARAM, e))
        server_fresh = offer.has_parameter(self._SERVER_NO_CONTEXT_TAKEOVER_PARAM)
        for flag in (self._SERVER_NO_CONTEXT_TAKEOVER_PARAM, self._CLIENT_NO_CONTEXT_TAKEOVER_PARAM):
            if offer.get_parameter_value(flag) is not None:
                return self._decline('%s has a value' % flag)

        # RFC 7692 7.1: a client may announce a smaller window, and that it starts afresh each time. Both
        # are hints, which need no answer: the largest window inflates what smaller ones compressed.
        client_may_choose = offer.has_parameter(self._CLIENT_MAX_WINDOW_BITS_PARAM)
        client_bits = offer.get_parameter_value(self._CLIENT_MAX_WINDOW_BITS_PARAM)
        if client_bits is not None:
            try:
                client_bits = _parse_window_bits(client_bits)
            except ValueError as e:
                return self._decline('%s: %s' % (self._CLIENT_MAX_WINDOW_BITS_PARAM, e))

        self._framer = _PerMessageDeflateFramer(server_bits, server_fresh)
        self._framer.set_compress_outgoing_enabled(True)
        # For handlers that make or read frames by hand: those of the framer have other contexts.
        self._rfc1979_deflater = util._RFC1979Deflater(server_bits, server_fresh)
        self._rfc1979_inflater = util._RFC1979Inflater()

        if self._client_max_window_bits is not None and not client_may_choose:
            return self._decline('the handler wants %s, which is not offered' % self._CLIENT_MAX_WINDOW_BITS_PARAM)

        response = common.ExtensionParameter(offer.name())
        if server_bits is not None:
            response.add_parameter(self._SERVER_MAX_WINDOW_BITS_PARAM, str(server_bits))
        if server_fresh:
            response.add_parameter(self._SERVER_NO_CONTEXT_TAKEOVER_PARAM, None)
        if self._client_max_window_bits is not None:
            bits = self._client_max_window_bits
            response.add_parameter(self._CLIENT_MAX_WINDOW_BITS_PARAM,
                                   str(bits if client_bits is None else min(bits, client_bits)))
        if self._client_no_context_takeover:
            response.add_parameter(self._CLIENT_NO_CONTEXT_TAKEOVER_PARAM, None)
        self._logger.debug('permessage-deflate is agreed: %s', common.format_extension(response))
        return response

    def _decline(self, why):
        self._logger.debug('An offer of permessage-deflate is declined: %s', why)
        return None

    def _setup_stream_options_internal(self, stream_options):
        self._framer.setup_stream_options(stream_options)


class _Filter:
    """A method in the place of a filter."""

    def __init__(self, method):
        self.filter = method


class _PerMessageDeflateFramer:
    """The filters of permessage-deflate, either side: messages are (de)compressed, RSV1 marks them."""

    def __init__(self, deflate_max_window_bits, deflate_no_context_takeover):
        self._logger = util.get_class_logger(self)
        self._rfc1979_deflater = util._RFC1979Deflater(deflate_max_window_bits, deflate_no_context_takeover)
        self._rfc1979_inflater = util._RFC1979Inflater()
        self._bfinal = False
        self._compress_outgoing_enabled = False
        # Outgoing: is the message in hand compressed, and is RSV1 still to be set on its first frame?
        self._compress_ongoing = False
        self._mark_next_frame = False
        # Incoming: is the message in hand compressed, is one open, was the last frame a control frame?
        self._decompress_message = False
        self._receiving_fragments = False
        self._last_was_control = False
        # Where the limit of a message's size stands.
        self._stream_options = None

    def set_compress_outgoing_enabled(self, value):
        """Whether messages are compressed. Off to begin with."""
        self._compress_outgoing_enabled = value

    def set_bfinal(self, value):
        """Whether each message or fragment ends with a final block."""
        self._bfinal = value

    def setup_stream_options(self, stream_options):
        """Adds the four filters."""
        stream_options.incoming_frame_filters.append(_Filter(self._process_incoming_frame))
        stream_options.incoming_message_filters.append(_Filter(self._process_incoming_message))
        stream_options.outgoing_message_filters.append(_Filter(self._process_outgoing_message))
        stream_options.outgoing_frame_filters.append(_Filter(self._process_outgoing_frame))
        self._stream_options = stream_options
        # A compressed text is no text any more.
        stream_options.encode_text_message_to_utf8 = False

    def _process_incoming_frame(self, frame):
        self._last_was_control = common.is_control_opcode(frame.opcode)
        if self._last_was_control:
            return
        if self._receiving_fragments and frame.opcode == common.OPCODE_CONTINUATION:
            # RFC 7692 6.1: only the first fragment carries RSV1.
            if frame.rsv1:
                raise InvalidFrameException('RSV1 is set on a continuation frame')
        else:
            self._decompress_message = bool(frame.rsv1)
            frame.rsv1 = 0
        self._receiving_fragments = not frame.fin

    def _process_incoming_message(self, message):
        if self._last_was_control or not self._decompress_message:
            return message
        self._decompress_message = False
        limit = getattr(self._stream_options, 'max_message_bytes', None)
        try:
            if limit is None:
                return self._rfc1979_inflater.filter(message)
            # One more tells whether there would be more, and a bomb is never inflated.
            message = self._rfc1979_inflater.filter(message, limit + 1)
        except zlib.error as e:
            raise InvalidFrameException('a compressed message does not inflate: %s' % e)
        if len(message) > limit:
            raise MessageTooBigException('a compressed message is longer than %d bytes' % limit)
        return message

    def _process_outgoing_message(self, message, end, binary):
        if not binary:
            message = message.encode('utf-8')
        if not self._compress_outgoing_enabled:
            return message
        if not self._compress_ongoing:
            self._mark_next_frame = True
        self._compress_ongoing = not end
        return self._rfc1979_deflater.filter(message, end=end, bfinal=self._bfinal)

    def _process_outgoing_frame(self, frame):
        if self._mark_next_frame and not common.is_control_opcode(frame.opcode):
            frame.rsv1 = 1
            self._mark_next_frame = False


_available_processors[common.PERMESSAGE_DEFLATE_EXTENSION] = PerMessageDeflateExtensionProcessor


def get_extension_processor(extension_request):
    """A processor for an offer, or ``None`` when no class is known for its name.

    >>> offer, = common.parse_extensions('permessage-deflate; server_max_window_bits=10')
    >>> processor = get_extension_processor(offer)
    >>> common.format_extension(processor.get_extension_response())
    'permessage-deflate; server_max_window_bits=10'
    """
    processor_class = _available_processors.get(extension_request.name())
    return None if processor_class is None else processor_class(extension_request)
