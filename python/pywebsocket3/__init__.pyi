from mod_pywebsocket import Request as Request
