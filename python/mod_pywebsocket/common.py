"""Constants of RFC 6455, and the ``Sec-WebSocket-Extensions`` header as objects."""

from mod_pywebsocket import http_header_util

# Below logging.DEBUG: every frame.
LOGLEVEL_FINE = 9

# Values of Sec-WebSocket-Version; the drafts 13 to 17 and RFC 6455 all use 13.
VERSION_HYBI13 = 13
VERSION_HYBI14 = 13
VERSION_HYBI15 = 13
VERSION_HYBI16 = 13
VERSION_HYBI17 = 13
VERSION_HYBI_LATEST = VERSION_HYBI13

DEFAULT_WEB_SOCKET_PORT = 80
DEFAULT_WEB_SOCKET_SECURE_PORT = 443
WEB_SOCKET_SCHEME = 'ws'
WEB_SOCKET_SECURE_SCHEME = 'wss'

# RFC 6455 5.2.
OPCODE_CONTINUATION = 0x0
OPCODE_TEXT = 0x1
OPCODE_BINARY = 0x2
OPCODE_CLOSE = 0x8
OPCODE_PING = 0x9
OPCODE_PONG = 0xa

# RFC 6455 1.3: what is hashed with the client's key.
WEBSOCKET_ACCEPT_UUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

UPGRADE_HEADER = 'Upgrade'
CONNECTION_HEADER = 'Connection'
HOST_HEADER = 'Host'
ORIGIN_HEADER = 'Origin'
SEC_WEBSOCKET_KEY_HEADER = 'Sec-WebSocket-Key'
SEC_WEBSOCKET_ACCEPT_HEADER = 'Sec-WebSocket-Accept'
SEC_WEBSOCKET_VERSION_HEADER = 'Sec-WebSocket-Version'
SEC_WEBSOCKET_PROTOCOL_HEADER = 'Sec-WebSocket-Protocol'
SEC_WEBSOCKET_EXTENSIONS_HEADER = 'Sec-WebSocket-Extensions'

WEBSOCKET_UPGRADE_TYPE = 'websocket'
UPGRADE_CONNECTION_TYPE = 'Upgrade'

PERMESSAGE_DEFLATE_EXTENSION = 'permessage-deflate'

# RFC 6455 7.4.1. 1005, 1006 and 1015 are never on the wire.
STATUS_NORMAL_CLOSURE = 1000
STATUS_GOING_AWAY = 1001
STATUS_PROTOCOL_ERROR = 1002
STATUS_UNSUPPORTED_DATA = 1003
STATUS_NO_STATUS_RECEIVED = 1005
STATUS_ABNORMAL_CLOSURE = 1006
STATUS_INVALID_FRAME_PAYLOAD_DATA = 1007
STATUS_POLICY_VIOLATION = 1008
STATUS_MESSAGE_TOO_BIG = 1009
STATUS_MANDATORY_EXTENSION = 1010
STATUS_INTERNAL_ENDPOINT_ERROR = 1011
STATUS_TLS_HANDSHAKE = 1015
STATUS_USER_REGISTERED_BASE = 3000
STATUS_USER_REGISTERED_MAX = 3999
STATUS_USER_PRIVATE_BASE = 4000
STATUS_USER_PRIVATE_MAX = 4999

# Older spellings.
STATUS_NORMAL = STATUS_NORMAL_CLOSURE
STATUS_UNSUPPORTED = STATUS_UNSUPPORTED_DATA
STATUS_CODE_NOT_AVAILABLE = STATUS_NO_STATUS_RECEIVED
STATUS_ABNORMAL_CLOSE = STATUS_ABNORMAL_CLOSURE
STATUS_INVALID_FRAME_PAYLOAD = STATUS_INVALID_FRAME_PAYLOAD_DATA
STATUS_MANDATORY_EXT = STATUS_MANDATORY_EXTENSION

HTTP_STATUS_BAD_REQUEST = 400
HTTP_STATUS_FORBIDDEN = 403
HTTP_STATUS_NOT_FOUND = 404


def is_control_opcode(opcode):
    """Whether frames of this opcode are control frames: 8 to 15."""
    return 8 <= opcode <= 15


class ExtensionParsingException(Exception):
    """A ``Sec-WebSocket-Extensions`` value that does not follow RFC 6455 9.1."""

    def __init__(self, name):
        super().__init__(name)


class ExtensionParameter:
    """One extension of the header: its name, and parameters in their order, duplicates kept.

    A parameter without ``=value`` has the value ``None``.
    """

    def __init__(self, name):
        self._name = name
        self._parameters = []

    def name(self):
        """The extension's name."""
        return self._name

    def add_parameter(self, name, value):
        """Appends a parameter; ``value`` is a ``str``, or ``None`` for a flag."""
        self._parameters.append((name, value))

    def get_parameters(self):
        """The list of ``(name, value)`` itself, not a copy."""
        return self._parameters

    def get_parameter_names(self):
        """The names in order."""
        return [name for name, _ in self._parameters]

    def has_parameter(self, name):
        """Whether a parameter of this name is there."""
        return any(name == own for own, _ in self._parameters)

    def get_parameter_value(self, name):
        """The value of the first parameter of this name; ``None`` too when there is none."""
        for own, value in self._parameters:
            if own == name:
                return value
        return None


def parse_extensions(data):
    """Parses a ``Sec-WebSocket-Extensions`` value into a list of :class:`ExtensionParameter`.

    Empty list items are allowed, leading white space is not. Raises
    :class:`ExtensionParsingException`.

    >>> offer, other = parse_extensions('permessage-deflate; client_max_window_bits; server_max_window_bits=10, x-other')
    >>> offer.name(), offer.get_parameters()
    ('permessage-deflate', [('client_max_window_bits', None), ('server_max_window_bits', '10')])
    """
    state = http_header_util.ParsingState(data)
    extensions = []
    while True:
        extension = _parse_extension(state)
        if extension is not None:
            extensions.append(extension)
        http_header_util.consume_lwses(state)
        if http_header_util.peek(state) is None:
            break
        if not http_header_util.consume_string(state, ','):
            raise ExtensionParsingException(
                'expected a comma but found %r at %d' % (http_header_util.peek(state), state.head))
        http_header_util.consume_lwses(state)
    if not extensions:
        raise ExtensionParsingException('no extension in %r' % data)
    return extensions


def _parse_extension(state):
    name = http_header_util.consume_token(state)
    if name is None:
        return None
    extension = ExtensionParameter(name)
    while True:
        http_header_util.consume_lwses(state)
        if not http_header_util.consume_string(state, ';'):
            return extension
        http_header_util.consume_lwses(state)
        parameter = http_header_util.consume_token(state)
        if parameter is None:
            raise ExtensionParsingException('a parameter of %r has no name' % name)
        http_header_util.consume_lwses(state)
        value = None
        if http_header_util.consume_string(state, '='):
            http_header_util.consume_lwses(state)
            value = http_header_util.consume_token_or_quoted_string(state)
            if value is None:
                raise ExtensionParsingException('parameter %r of %r has no valid value' % (parameter, name))
        extension.add_parameter(parameter, value)


def format_extension(extension):
    """An :class:`ExtensionParameter` as it stands in the header. Values are quoted where they must be.

    >>> extension = ExtensionParameter('x-mine')
    >>> extension.add_parameter('fast', None)
    >>> extension.add_parameter('by', 'you & me')
    >>> format_extension(extension)
    'x-mine; fast; by="you & me"'
    """
    parts = [extension.name()]
    for name, value in extension.get_parameters():
        parts.append(name if value is None else name + '=' + http_header_util.quote_if_necessary(value))
    return '; '.join(parts)


def format_extensions(extension_list):
    """Several of them, separated by commas: the value of the header."""
    return ', '.join(format_extension(extension) for extension in extension_list)
