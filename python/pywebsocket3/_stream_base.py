"""The same module as ``mod_pywebsocket._stream_exceptions``."""

import sys

from mod_pywebsocket import _stream_exceptions

sys.modules[__name__] = _stream_exceptions
