import http.server
import socket
from logging import Logger
from typing import Any, Final

from linkspan._linkspan import Channel
from mod_pywebsocket import Request
from mod_pywebsocket.websocket_server import WebSocketServer

_MAX_MEMORIZED_LINES: Final = 1024

class _StandaloneRequest(Request):
    def __init__(self, request_handler: WebSocketRequestHandler, use_tls: bool) -> None: ...

class WebSocketRequestHandler(http.server.SimpleHTTPRequestHandler):
    # One more on Python before 3.13: the base class there is CGIHTTPRequestHandler.
    _logger: Logger
    _options: Any
    cgi_directories: list[str]
    server: WebSocketServer
    # The native connection, or what `get_request` of a subclass has made of a socket.
    request: Channel | socket.socket | Any
    client_address: Any

    def __init__(
        self, request: Channel | socket.socket | Any, client_address: Any, server: WebSocketServer
    ) -> None: ...
    def setup(self) -> None: ...
    def parse_request(self) -> bool: ...
    def log_request(self, code: int | str = '-', size: int | str = '-') -> None: ...
    def log_error(self, *args: Any) -> None: ...
    def is_cgi(self) -> bool: ...
    def is_executable(self, path: str) -> bool: ...
    def run_cgi(self) -> None: ...
    def do_POST(self) -> None: ...
