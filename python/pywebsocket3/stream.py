"""The same module as ``mod_pywebsocket.stream``."""

import sys

from mod_pywebsocket import stream

sys.modules[__name__] = stream
