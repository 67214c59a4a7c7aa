from mod_pywebsocket.request_handler import *
from mod_pywebsocket.request_handler import (
    _MAX_MEMORIZED_LINES as _MAX_MEMORIZED_LINES,
    _StandaloneRequest as _StandaloneRequest,
)
