from typing import Any

from mod_pywebsocket.dispatch import Dispatcher
from mod_pywebsocket.handshake import base as base, hybi as hybi
from mod_pywebsocket.handshake.base import (
    AbortedByUserException as AbortedByUserException,
    HandshakeException as HandshakeException,
    VersionException as VersionException,
)

__all__ = ['AbortedByUserException', 'HandshakeException', 'VersionException', 'base', 'do_handshake', 'hybi']

def do_handshake(request: Any, dispatcher: Dispatcher) -> None: ...
