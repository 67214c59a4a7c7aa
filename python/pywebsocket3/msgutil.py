"""The same module as ``mod_pywebsocket.msgutil``."""

import sys

from mod_pywebsocket import msgutil

sys.modules[__name__] = msgutil
