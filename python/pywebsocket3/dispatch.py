"""The same module as ``mod_pywebsocket.dispatch``."""

import sys

from mod_pywebsocket import dispatch

sys.modules[__name__] = dispatch
