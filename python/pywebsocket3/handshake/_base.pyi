from mod_pywebsocket.handshake.base import *
from mod_pywebsocket.handshake.base import (
    _SUPPORTED_VERSIONS as _SUPPORTED_VERSIONS,
    _VERSION_LATEST as _VERSION_LATEST,
    _VERSION_LATEST_STRING as _VERSION_LATEST_STRING,
)
