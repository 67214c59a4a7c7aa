from mod_pywebsocket.server_util import *
from mod_pywebsocket.server_util import (
    _get_logger_from_class as _get_logger_from_class,
)
