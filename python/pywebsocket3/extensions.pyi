from mod_pywebsocket.extensions import *
from mod_pywebsocket.extensions import (
    _PerMessageDeflateFramer as _PerMessageDeflateFramer,
    _available_processors as _available_processors,
    _parse_window_bits as _parse_window_bits,
)
