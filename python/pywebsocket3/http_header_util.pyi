from mod_pywebsocket.http_header_util import *
from mod_pywebsocket.http_header_util import (
    _SEPARATORS as _SEPARATORS,
    _is_char as _is_char,
    _is_ctl as _is_ctl,
)
