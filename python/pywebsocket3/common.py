"""The same module as ``mod_pywebsocket.common``."""

import sys

from mod_pywebsocket import common

sys.modules[__name__] = common
