"""The errors that a handler may raise in each of its functions, as actions by name."""

import sys

from pywebsocket3 import dispatch, handshake, msgutil, stream


class Strange(BaseException):
    pass


def throw(error):
    raise error


# Made anew for each request: the servers put words of theirs before an error's own.
ACTIONS = {
    'value': lambda request: throw(ValueError('mine')),
    'os': lambda request: throw(OSError(5, 'mine')),
    'aborted': lambda request: throw(handshake.AbortedByUserException('mine')),
    'handshake': lambda request: throw(handshake.HandshakeException('mine')),
    'handshake-401': lambda request: throw(handshake.HandshakeException('mine', 401)),
    'version': lambda request: throw(handshake.VersionException('mine', '13')),
    'dispatch': lambda request: throw(dispatch.DispatchException('mine')),
    'terminated': lambda request: throw(msgutil.ConnectionTerminatedException('mine')),
    'bad-operation': lambda request: throw(msgutil.BadOperationException('mine')),
    'invalid-frame': lambda request: throw(msgutil.InvalidFrameException('mine')),
    'unsupported': lambda request: throw(msgutil.UnsupportedFrameException('mine')),
    'utf8': lambda request: throw(stream.InvalidUTF8Exception('mine')),
    'system-exit': lambda request: sys.exit(3),
    'keyboard-interrupt': lambda request: throw(KeyboardInterrupt()),
    'base': lambda request: throw(Strange('mine')),
}
