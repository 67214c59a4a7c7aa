import threading
from collections.abc import Callable, Coroutine
from queue import Queue
from typing import Any, Literal, Protocol, overload

from mod_pywebsocket._async_stream import AsyncStream
from mod_pywebsocket._stream_exceptions import (
    BadOperationException as BadOperationException,
    ConnectionTerminatedException as ConnectionTerminatedException,
    InvalidFrameException as InvalidFrameException,
    UnsupportedFrameException as UnsupportedFrameException,
)
from mod_pywebsocket.stream import Stream

_Bytes = bytes | bytearray | memoryview

# A request of the server, or a client's own.
class _Request(Protocol):
    @property
    def ws_stream(self) -> Stream: ...

# That of an `async` handler.
class _AsyncRequest(Protocol):
    @property
    def ws_stream(self) -> AsyncStream: ...

__all__ = [
    'BadOperationException',
    'ConnectionTerminatedException',
    'InvalidFrameException',
    'MessageReceiver',
    'MessageSender',
    'UnsupportedFrameException',
    'close_connection',
    'receive_message',
    'send_message',
    'send_ping',
]

@overload
def close_connection(request: _Request) -> None: ...
@overload
def close_connection(request: _AsyncRequest) -> Coroutine[Any, Any, None]: ...
@overload
def send_message(
    request: _Request, payload_data: str, end: bool = True, binary: Literal[False] = False
) -> None: ...
@overload
def send_message(request: _Request, payload_data: str | _Bytes, end: bool = True, *, binary: bool) -> None: ...
@overload
def send_message(request: _Request, payload_data: str | _Bytes, end: bool, binary: bool) -> None: ...
@overload
def send_message(
    request: _AsyncRequest, payload_data: str, end: bool = True, binary: Literal[False] = False
) -> Coroutine[Any, Any, None]: ...
@overload
def send_message(
    request: _AsyncRequest, payload_data: str | _Bytes, end: bool = True, *, binary: bool
) -> Coroutine[Any, Any, None]: ...
@overload
def send_message(
    request: _AsyncRequest, payload_data: str | _Bytes, end: bool, binary: bool
) -> Coroutine[Any, Any, None]: ...
@overload
def receive_message(request: _Request) -> str | bytes | None: ...
@overload
def receive_message(request: _AsyncRequest) -> Coroutine[Any, Any, str | bytes | None]: ...
@overload
def send_ping(request: _Request, body: str | bytes) -> None: ...
@overload
def send_ping(request: _AsyncRequest, body: str | bytes) -> Coroutine[Any, Any, None]: ...

class MessageReceiver(threading.Thread):
    _request: _Request
    _queue: Queue[str | bytes | None]
    _onmessage: Callable[[str | bytes | None], object] | None
    _stop_requested: bool

    def __init__(
        self, request: _Request, onmessage: Callable[[str | bytes | None], object] | None = None
    ) -> None: ...
    def run(self) -> None: ...
    def receive(self) -> str | bytes | None: ...
    def receive_nowait(self) -> str | bytes | None: ...
    def stop(self) -> None: ...

class MessageSender(threading.Thread):
    def __init__(self, request: _Request) -> None: ...
    def run(self) -> None: ...
    def send(self, message: str) -> None: ...
    def send_nowait(self, message: str) -> None: ...
