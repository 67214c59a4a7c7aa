from collections.abc import Iterable
from typing import Final

LOGLEVEL_FINE: Final = 9

VERSION_HYBI13: Final = 13
VERSION_HYBI14: Final = 13
VERSION_HYBI15: Final = 13
VERSION_HYBI16: Final = 13
VERSION_HYBI17: Final = 13
VERSION_HYBI_LATEST: Final = 13

DEFAULT_WEB_SOCKET_PORT: Final = 80
DEFAULT_WEB_SOCKET_SECURE_PORT: Final = 443
WEB_SOCKET_SCHEME: Final = 'ws'
WEB_SOCKET_SECURE_SCHEME: Final = 'wss'

OPCODE_CONTINUATION: Final = 0x0
OPCODE_TEXT: Final = 0x1
OPCODE_BINARY: Final = 0x2
OPCODE_CLOSE: Final = 0x8
OPCODE_PING: Final = 0x9
OPCODE_PONG: Final = 0xA

WEBSOCKET_ACCEPT_UUID: Final = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

UPGRADE_HEADER: Final = 'Upgrade'
CONNECTION_HEADER: Final = 'Connection'
HOST_HEADER: Final = 'Host'
ORIGIN_HEADER: Final = 'Origin'
SEC_WEBSOCKET_KEY_HEADER: Final = 'Sec-WebSocket-Key'
SEC_WEBSOCKET_ACCEPT_HEADER: Final = 'Sec-WebSocket-Accept'
SEC_WEBSOCKET_VERSION_HEADER: Final = 'Sec-WebSocket-Version'
SEC_WEBSOCKET_PROTOCOL_HEADER: Final = 'Sec-WebSocket-Protocol'
SEC_WEBSOCKET_EXTENSIONS_HEADER: Final = 'Sec-WebSocket-Extensions'

WEBSOCKET_UPGRADE_TYPE: Final = 'websocket'
UPGRADE_CONNECTION_TYPE: Final = 'Upgrade'

PERMESSAGE_DEFLATE_EXTENSION: Final = 'permessage-deflate'

STATUS_NORMAL_CLOSURE: Final = 1000
STATUS_GOING_AWAY: Final = 1001
STATUS_PROTOCOL_ERROR: Final = 1002
STATUS_UNSUPPORTED_DATA: Final = 1003
STATUS_NO_STATUS_RECEIVED: Final = 1005
STATUS_ABNORMAL_CLOSURE: Final = 1006
STATUS_INVALID_FRAME_PAYLOAD_DATA: Final = 1007
STATUS_POLICY_VIOLATION: Final = 1008
STATUS_MESSAGE_TOO_BIG: Final = 1009
STATUS_MANDATORY_EXTENSION: Final = 1010
STATUS_INTERNAL_ENDPOINT_ERROR: Final = 1011
STATUS_TLS_HANDSHAKE: Final = 1015
STATUS_USER_REGISTERED_BASE: Final = 3000
STATUS_USER_REGISTERED_MAX: Final = 3999
STATUS_USER_PRIVATE_BASE: Final = 4000
STATUS_USER_PRIVATE_MAX: Final = 4999

STATUS_NORMAL: Final = 1000
STATUS_UNSUPPORTED: Final = 1003
STATUS_CODE_NOT_AVAILABLE: Final = 1005
STATUS_ABNORMAL_CLOSE: Final = 1006
STATUS_INVALID_FRAME_PAYLOAD: Final = 1007
STATUS_MANDATORY_EXT: Final = 1010

HTTP_STATUS_BAD_REQUEST: Final = 400
HTTP_STATUS_FORBIDDEN: Final = 403
HTTP_STATUS_NOT_FOUND: Final = 404

def is_control_opcode(opcode: int) -> bool: ...

class ExtensionParsingException(Exception):
    def __init__(self, name: object) -> None: ...

class ExtensionParameter:
    _name: str
    _parameters: list[tuple[str, str | None]]

    def __init__(self, name: str) -> None: ...
    def name(self) -> str: ...
    def add_parameter(self, name: str, value: str | None) -> None: ...
    def get_parameters(self) -> list[tuple[str, str | None]]: ...
    def get_parameter_names(self) -> list[str]: ...
    def has_parameter(self, name: str) -> bool: ...
    def get_parameter_value(self, name: str) -> str | None: ...

def parse_extensions(data: str) -> list[ExtensionParameter]: ...
def format_extension(extension: ExtensionParameter) -> str: ...
def format_extensions(extension_list: Iterable[ExtensionParameter]) -> str: ...
