"""The same module as ``mod_pywebsocket.websocket_server``."""

import sys

from mod_pywebsocket import websocket_server

sys.modules[__name__] = websocket_server
