"""What every opening handshake has in common, whatever HTTP it came with."""

from mod_pywebsocket import common, http_header_util, util
from mod_pywebsocket.extensions import get_extension_processor
from mod_pywebsocket.stream import Stream, StreamOptions

_VERSION_LATEST = common.VERSION_HYBI_LATEST
_VERSION_LATEST_STRING = str(_VERSION_LATEST)
_SUPPORTED_VERSIONS = [_VERSION_LATEST]


class AbortedByUserException(Exception):
    """Raised by a handler: end the connection here and now, and send nothing more."""


class HandshakeException(Exception):
    """The handshake fails; ``status`` is the HTTP status to answer with."""

    def __init__(self, name, status=None):
        super().__init__(name)
        self.status = status


class VersionException(Exception):
    """The client speaks another version; ``supported_versions`` goes into the answer."""

    def __init__(self, name, supported_versions=''):
        super().__init__(name)
        self.supported_versions = supported_versions


def get_default_port(is_secure):
    """443 or 80."""
    return common.DEFAULT_WEB_SOCKET_SECURE_PORT if is_secure else common.DEFAULT_WEB_SOCKET_PORT


def validate_subprotocol(subprotocol):
    """Raises :class:`HandshakeException` unless it is one token (RFC 6455 11.3.4)."""
    if not subprotocol:
        raise HandshakeException('a subprotocol has no name')
    state = http_header_util.ParsingState(subprotocol)
    if http_header_util.consume_token(state) != subprotocol:
        raise HandshakeException('%r is not the name of a subprotocol' % (subprotocol,))


def parse_host_header(request):
    """The host and the port that the client connects to, as its ``Host`` header says.

    Raises :class:`HandshakeException` when the port is not a number.
    """
    host, colon, port = request.headers_in[common.HOST_HEADER].partition(':')
    if not colon:
        return host, get_default_port(request.is_https())
    try:
        return host, int(port)
    except ValueError:
        raise HandshakeException('the port %r of the Host header is not a number' % port)


def get_mandatory_header(request, key):
    """A header's value; :class:`HandshakeException` when it is not there."""
    value = request.headers_in.get(key)
    if value is None:
        raise HandshakeException('the header %s is missing' % key)
    return value


def validate_mandatory_header(request, key, expected_value, fail_status=None):
    """Raises :class:`HandshakeException` unless the header has this value, in whatever case."""
    value = get_mandatory_header(request, key)
    if value.lower() != expected_value.lower():
        raise HandshakeException('the header %s is %r instead of %r' % (key, value, expected_value),
                                 status=fail_status)


def parse_token_list(data):
    """A comma-separated list of tokens; empty items are skipped, but not all may be empty.

    Raises :class:`HandshakeException`.

    >>> parse_token_list('keep-alive, Upgrade,')
    ['keep-alive', 'Upgrade']
    """
    state = http_header_util.ParsingState(data)
    tokens = []
    while True:
        token = http_header_util.consume_token(state)
        if token is not None:
            tokens.append(token)
        http_header_util.consume_lwses(state)
        if http_header_util.peek(state) is None:
            break
        if not http_header_util.consume_string(state, ','):
            raise HandshakeException('expected a comma but found %r' % http_header_util.peek(state))
        http_header_util.consume_lwses(state)
    if not tokens:
        raise HandshakeException('no token in %r' % data)
    return tokens


class HandshakerBase:
    """The order of an opening handshake. Subclasses say how their HTTP carries it."""

    def __init__(self, request, dispatcher):
        self._logger = util.get_class_logger(self)
        self._request = request
        self._dispatcher = dispatcher

    # What a subclass fills in.

    def _protocol_rfc(self):
        """The name of the rules, for logs."""
        raise NotImplementedError('_protocol_rfc')

    def _transform_header(self, header):
        """A header's name as this HTTP writes it."""
        return header

    def _validate_request(self):
        """Raises when the request cannot be a WebSocket's."""
        raise NotImplementedError('_validate_request')

    def _set_accept(self):
        """Reads the key, if there is one, and keeps what answers it."""

    def _send_handshake(self):
        """Writes the answer."""
        raise NotImplementedError('_send_handshake')

    # The order (RFC 6455 4.2).

    def do_handshake(self):
        """Checks, asks the handler, agrees on extensions and a subprotocol, and answers."""
        request = self._request
        request.ws_close_code = None
        request.ws_close_reason = None

        self._validate_request()
        request.ws_resource = request.uri
        request.ws_version = self._check_version()
        try:
            self._get_origin()
            self._set_protocol()
            self._parse_extensions()
            self._set_accept()
            self._logger.debug('The request follows %s', self._protocol_rfc())
            request.ws_extension_processors = self._get_extension_processors_requested()
            request.extra_headers = []

            self._dispatcher.do_extra_handshake(request)

            options = StreamOptions()
            options.max_message_bytes = getattr(request, '_max_message_bytes', options.max_message_bytes)
            options.close_timeout = getattr(request, '_close_timeout', options.close_timeout)
            self._process_extensions(options)
            request.ws_stream = Stream(request, options)
            self._check_protocol()
            self._send_handshake()
        except HandshakeException as e:
            e.status = e.status or common.HTTP_STATUS_BAD_REQUEST
            raise

    def _header(self, name):
        return self._request.headers_in.get(self._transform_header(name))

    def _check_version(self):
        version = get_mandatory_header(
            self._request, self._transform_header(common.SEC_WEBSOCKET_VERSION_HEADER))
        if version == _VERSION_LATEST_STRING:
            return _VERSION_LATEST
        if ',' in version:
            raise HandshakeException('several versions: %r' % version, status=common.HTTP_STATUS_BAD_REQUEST)
        raise VersionException('version %r is not supported' % version, supported_versions=', '.join(
            map(str, _SUPPORTED_VERSIONS)))

    def _get_origin(self):
        self._request.ws_origin = self._header(common.ORIGIN_HEADER)

    def _set_protocol(self):
        request = self._request
        request.ws_protocol = None
        value = self._header(common.SEC_WEBSOCKET_PROTOCOL_HEADER)
        if value is None:
            request.ws_requested_protocols = None
            return
        request.ws_requested_protocols = parse_token_list(value)

    def _parse_extensions(self):
        request = self._request
        value = self._header(common.SEC_WEBSOCKET_EXTENSIONS_HEADER)
        if not value:
            request.ws_requested_extensions = None
            return
        try:
            request.ws_requested_extensions = common.parse_extensions(value)
        except common.ExtensionParsingException as e:
            raise HandshakeException('bad %s header: %s' % (common.SEC_WEBSOCKET_EXTENSIONS_HEADER, e))

    def _get_extension_processors_requested(self):
        processors = map(get_extension_processor, self._request.ws_requested_extensions or ())
        return [processor for processor in processors if processor is not None]

    def _process_extensions(self, stream_options):
        request = self._request
        # Handlers replace what they do not want by None.
        processors = [processor for processor in request.ws_extension_processors
                      if processor is not None and processor.is_active()]
        for processor in reversed(processors):
            if processor.is_active():
                processor.check_consistency_with_other_processors(processors)
        processors = [processor for processor in processors if processor.is_active()]

        accepted = []
        for index, processor in enumerate(processors):
            if not processor.is_active():
                continue
            response = processor.get_extension_response()
            if response is None:
                continue
            accepted.append(response)
            processor.setup_stream_options(stream_options)
            # Of several that would work on the same bytes, one is enough.
            for other in processors[index + 1:]:
                other.set_active(False)
        request.ws_extensions = accepted or None
        if accepted:
            self._logger.debug('Extensions: %s', common.format_extensions(accepted))

    def _check_protocol(self):
        request = self._request
        if request.ws_requested_protocols is None:
            if request.ws_protocol is not None:
                raise HandshakeException('the handler chose a subprotocol and the client asked for none')
        elif request.ws_protocol is None:
            raise HandshakeException('the handler chose none of the subprotocols that the client asks for')
        else:
            validate_subprotocol(request.ws_protocol)
