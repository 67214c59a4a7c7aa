"""The same module as ``mod_pywebsocket.extensions``."""

import sys

from mod_pywebsocket import extensions

sys.modules[__name__] = extensions
