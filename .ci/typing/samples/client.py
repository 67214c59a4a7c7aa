"""A client made of the parts that servers are made of."""

import socket
from typing import Union

from mod_pywebsocket import common, stream
from mod_pywebsocket.extensions import _PerMessageDeflateFramer
from mod_pywebsocket.handshake.hybi import compute_accept


class SocketConnection:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.remote_addr = sock.getpeername()

    def read(self, length: int) -> bytes:
        return self._socket.recv(length)

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)


class ClientRequest:
    ws_version = common.VERSION_HYBI_LATEST

    def __init__(self, connection: SocketConnection) -> None:
        self.connection = connection
        options = stream.StreamOptions()
        options.mask_send, options.unmask_receive = True, False
        _PerMessageDeflateFramer(None, False).setup_stream_options(options)
        self.ws_stream = stream.Stream(self, options)


def talk(sock: socket.socket) -> Union[str, bytes, None]:
    assert compute_accept(b'dGhlIHNhbXBsZSBub25jZQ==') == b's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    request = ClientRequest(SocketConnection(sock))
    request.ws_stream.send_message('Hello')
    answer = request.ws_stream.receive_message()
    request.ws_stream.close_connection()
    return answer
