from mod_pywebsocket.util import *
from mod_pywebsocket.util import (
    _Deflater as _Deflater,
    _Inflater as _Inflater,
    _RFC1979Deflater as _RFC1979Deflater,
    _RFC1979Inflater as _RFC1979Inflater,
)
