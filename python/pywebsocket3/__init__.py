"""The modules of ``mod_pywebsocket`` under their newer name: the same objects under both.

``help(mod_pywebsocket)`` says how handlers are written, run and tested.
"""

from mod_pywebsocket import AsyncRequest, Request
