"""Linkspan for Python: a WebSocket client to work and to test with, and the native engine under ``mod_pywebsocket``,
which serves.

A client that waits::

    import linkspan

    with linkspan.connect('ws://localhost:9998/echo') as ws:
        ws.send('hello')
        print(ws.receive())

The same inside of asyncio, where ``connect`` is awaited and so is everything that may wait::

    async with linkspan.connect('ws://localhost:9998/echo') as ws:
        await ws.send('hello')
        async for message in ws:
            print(message)

``help(linkspan.connect)`` lists the options.
"""

from linkspan._linkspan import __version__

__all__ = [
    'AsyncRawConnection',
    'AsyncWebSocket',
    'ConnectError',
    'ConnectionClosed',
    'Error',
    'Frame',
    'HandshakeError',
    'RawConnection',
    'Response',
    'TimedOut',
    'TlsError',
    'WebSocket',
    '__version__',
    'connect',
    'connect_raw',
    'frame',
    'opening_request',
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from linkspan._asynchronous import AsyncRawConnection, AsyncWebSocket
    from linkspan._client import connect, connect_raw, opening_request
    from linkspan._errors import ConnectError, ConnectionClosed, Error, HandshakeError, TimedOut, TlsError
    from linkspan._facts import Frame, Response, frame
    from linkspan._raw import RawConnection
    from linkspan._websocket import WebSocket


# A server has no use for a client: nothing of it is read before somebody asks.
_PLACES = {
    'AsyncRawConnection': '_asynchronous',
    'AsyncWebSocket': '_asynchronous',
    'ConnectError': '_errors',
    'ConnectionClosed': '_errors',
    'Error': '_errors',
    'Frame': '_facts',
    'HandshakeError': '_errors',
    'RawConnection': '_raw',
    'Response': '_facts',
    'TimedOut': '_errors',
    'TlsError': '_errors',
    'WebSocket': '_websocket',
    'connect': '_client',
    'connect_raw': '_client',
    'frame': '_facts',
    'opening_request': '_client',
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError('module %r has no attribute %r' % (__name__, name))
    from importlib import import_module
    value = globals()[name] = getattr(import_module('linkspan.' + place), name)
    return value


def __dir__() -> 'list[str]':
    return sorted(set(globals()) | set(__all__))
