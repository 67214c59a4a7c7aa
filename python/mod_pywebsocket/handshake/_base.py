"""The older name of ``mod_pywebsocket.handshake.base``."""

import sys

from mod_pywebsocket.handshake import base

sys.modules[__name__] = base
