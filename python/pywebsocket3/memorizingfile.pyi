from mod_pywebsocket.memorizingfile import *
