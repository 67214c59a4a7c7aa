from mod_pywebsocket._stream_exceptions import *
