"""A server inside of another program, and classes of its own in the place of ours."""

import socket
import threading
from typing import Any, Optional, Tuple

from mod_pywebsocket import dispatch, memorizingfile, standalone
from mod_pywebsocket.handshake.base import HandshakerBase, get_mandatory_header, validate_mandatory_header
from mod_pywebsocket.request_handler import WebSocketRequestHandler
from mod_pywebsocket.websocket_server import WebSocketServer


class Server(WebSocketServer):
    def get_request(self) -> Tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        return accepted, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return True


class Handler(WebSocketRequestHandler):
    def parse_request(self) -> bool:
        self.server.websocket_server_options.use_basic_auth = False
        return super().parse_request()


def serve() -> int:
    options, rest = standalone._parse_args_and_config(['-p', '0'])
    assert not rest
    options.cgi_directories = []
    options.is_executable_method = None
    server = standalone.WebSocketServer(options)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = [listener.getsockname()[1] for listener, _ in server._sockets]
    server.shutdown()
    server.server_close()
    return server.server_port + len(ports)


class OwnSuite:
    def do_extra_handshake(self, request: Any) -> None: ...

    def transfer_data(self, request: Any) -> None: ...

    def passive_closing_handshake(self, request: Any) -> Tuple[int, str]:
        return 1000, ''


class OwnDispatcher(dispatch.Dispatcher):
    def __init__(self) -> None:
        self._handler_suite_map = {'/own': OwnSuite()}
        self._source_warnings = []


class Http2Handshaker(HandshakerBase):
    def _transform_header(self, header: str) -> str:
        return header.lower()

    def _protocol_rfc(self) -> str:
        return 'RFC 8441'

    def _validate_request(self) -> None:
        validate_mandatory_header(self._request, ':protocol', 'websocket', fail_status=400)
        get_mandatory_header(self._request, 'authority')

    def _send_handshake(self) -> None:
        self._request.status = 200


def first_line(sock: socket.socket) -> Optional[bytes]:
    lines = memorizingfile.MemorizingFile(sock.makefile('rb'), max_memorized_lines=1)
    lines.readline()
    return lines.get_memorized_lines()[0] if lines.get_memorized_lines() else None
