"""The same module as ``mod_pywebsocket.request_handler``."""

import sys

from mod_pywebsocket import request_handler

sys.modules[__name__] = request_handler
