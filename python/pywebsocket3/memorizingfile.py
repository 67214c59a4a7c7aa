"""The same module as ``mod_pywebsocket.memorizingfile``."""

import sys

from mod_pywebsocket import memorizingfile

sys.modules[__name__] = memorizingfile
