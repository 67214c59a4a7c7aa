from mod_pywebsocket.handshake import *

__all__ = ['AbortedByUserException', 'HandshakeException', 'VersionException', 'base', 'do_handshake', 'hybi']
