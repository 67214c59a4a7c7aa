"""The same module as ``mod_pywebsocket.util``."""

import sys

from mod_pywebsocket import util

sys.modules[__name__] = util
