"""The older name of ``mod_pywebsocket.stream``."""

import sys

from mod_pywebsocket import stream

sys.modules[__name__] = stream
