"""The same module as ``mod_pywebsocket.server_util``."""

import sys

from mod_pywebsocket import server_util

sys.modules[__name__] = server_util
