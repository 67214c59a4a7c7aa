from mod_pywebsocket.handshake.hybi import *
