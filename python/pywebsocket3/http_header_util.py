"""The same module as ``mod_pywebsocket.http_header_util``."""

import sys

from mod_pywebsocket import http_header_util

sys.modules[__name__] = http_header_util
