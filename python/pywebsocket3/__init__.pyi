from mod_pywebsocket import AsyncRequest as AsyncRequest, Request as Request
