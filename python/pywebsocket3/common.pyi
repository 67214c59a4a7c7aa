from mod_pywebsocket.common import *
