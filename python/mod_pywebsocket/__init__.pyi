from collections.abc import Callable
from http.client import HTTPMessage
from typing import Any

from mod_pywebsocket._async_stream import AsyncStream
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket.common import ExtensionParameter
from mod_pywebsocket.dispatch import Dispatcher
from mod_pywebsocket.extensions import ExtensionProcessorInterface
from mod_pywebsocket.request_handler import WebSocketRequestHandler
from mod_pywebsocket.stream import Stream

class _Request:
    # Always.
    connection: _StandaloneConnection
    headers_in: HTTPMessage
    _request_handler: WebSocketRequestHandler
    def get_uri(self) -> str: ...
    def get_unparsed_uri(self) -> str: ...
    def get_method(self) -> str: ...
    def get_protocol(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def unparsed_uri(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    def is_https(self) -> bool: ...

    # From the handshake on.
    ws_resource: str
    ws_version: int
    ws_origin: str | None
    ws_requested_protocols: list[str] | None
    ws_requested_extensions: list[ExtensionParameter] | None
    ws_close_code: int | None
    ws_close_reason: str | None
    _accept: bytes
    # From the handshake on; the handler may set them there.
    ws_protocol: str | None
    ws_extension_processors: list[ExtensionProcessorInterface | None]
    extra_headers: list[tuple[str, str]]

    # From the answer on: not in `web_socket_do_extra_handshake`.
    ws_extensions: list[ExtensionParameter] | None
    client_terminated: bool
    server_terminated: bool
    _dispatcher: Dispatcher

    # Where the handler has set them. The first argument is the request.
    on_ping_handler: Callable[[Any, bytes], object] | None
    on_pong_handler: Callable[[Any, bytes], object] | None

class Request(_Request):
    ws_stream: Stream

# The same class; what it has for a stream depends on the handler.
class AsyncRequest(_Request):
    ws_stream: AsyncStream
