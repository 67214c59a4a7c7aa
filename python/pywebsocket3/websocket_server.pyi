from mod_pywebsocket.websocket_server import *
from mod_pywebsocket.websocket_server import (
    _alias_handlers as _alias_handlers,
)
