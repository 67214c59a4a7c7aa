"""Both names of the packages are of the same things, so either may be passed for the other."""

from typing import Type

import mod_pywebsocket
import mod_pywebsocket.dispatch
import mod_pywebsocket.extensions
import mod_pywebsocket.handshake.base
import mod_pywebsocket.stream
import mod_pywebsocket.websocket_server
import pywebsocket3
import pywebsocket3._stream_base
import pywebsocket3.dispatch
import pywebsocket3.extensions
import pywebsocket3.handshake
import pywebsocket3.stream
import pywebsocket3.websocket_server


def request(one: mod_pywebsocket.Request) -> pywebsocket3.Request:
    return one


def stream(one: pywebsocket3.stream.Stream) -> mod_pywebsocket.stream.Stream:
    return one


def server(one: mod_pywebsocket.websocket_server.WebSocketServer) -> pywebsocket3.websocket_server.WebSocketServer:
    return one


def dispatcher(one: pywebsocket3.dispatch.Dispatcher) -> mod_pywebsocket.dispatch.Dispatcher:
    return one


def processor(
    one: mod_pywebsocket.extensions.PerMessageDeflateExtensionProcessor,
) -> pywebsocket3.extensions.PerMessageDeflateExtensionProcessor:
    return one


def aborted(
    one: Type[pywebsocket3.handshake.AbortedByUserException],
) -> Type[mod_pywebsocket.handshake.base.AbortedByUserException]:
    return one


def terminated(
    one: Type[pywebsocket3._stream_base.ConnectionTerminatedException],
) -> Type[mod_pywebsocket.stream.ConnectionTerminatedException]:
    return one
