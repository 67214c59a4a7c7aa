"""``connect`` and ``connect_raw``: from a URL to a connection, with and without asyncio."""

from __future__ import annotations

import base64
import os
import sys

from linkspan import _linkspan
from linkspan._options import build
from linkspan._raw import RawConnection
from linkspan._websocket import WebSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType
    from typing import Any, Generator, Iterable, Mapping, Optional, Sequence, Union

    from linkspan._asynchronous import AsyncRawConnection, AsyncWebSocket

    _Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]
    _Path = Union[str, PathLike[str]]
    _Pem = Union[str, PathLike[str], bytes]


def connect(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: _Headers = (),
    origin: Optional[str] = None,
    deflate: bool = False,
    ca: Optional[_Pem] = None,
    certificate: Optional[_Path] = None,
    private_key: Optional[_Path] = None,
    server_name: Optional[str] = None,
    pins: Sequence[str] = (),
    proxy: Optional[str] = None,
    proxy_ca: Optional[_Pem] = None,
    max_redirects: int = 0,
    max_message_bytes: int = 16 << 20,
    connect_timeout: Optional[float] = 30.0,
    handshake_timeout: Optional[float] = 10.0,
    message_timeout: Optional[float] = 300.0,
    write_timeout: Optional[float] = 60.0,
    close_timeout: Optional[float] = 5.0,
    ping_interval: Optional[float] = 30.0,
    pong_timeout: Optional[float] = 20.0,
) -> WebSocket:
    """Connects to a WebSocket server.

    Outside of asyncio it waits until the connection is open, and returns a :class:`linkspan.WebSocket`::

        with linkspan.connect('ws://localhost:9998/echo') as ws:
            ws.send('hello')
            print(ws.receive())

    In a coroutine it is awaited, and gives a :class:`linkspan.AsyncWebSocket`, whose methods have the same names and
    are coroutines::

        ws = await linkspan.connect('ws://localhost:9998/echo')
        async with linkspan.connect('ws://localhost:9998/echo') as ws: ...

    ``url``
        ``ws://``, ``wss://`` or ``ws+unix:///path/of.sock:/target``; with ``user:password@`` for Basic authentication.
    ``subprotocols``
        Subprotocols to offer, best first; ``ws.subprotocol`` is the one that the server chose.
    ``headers``
        Fields to add to the request, a mapping or pairs. ``Host`` and ``Authorization`` may be said otherwise than
        the URL does; those of the handshake itself are refused (``ValueError``), :func:`connect_raw` sends any.
    ``origin``
        The ``Origin`` field, as a browser sends it.
    ``deflate``
        Whether to offer compression (permessage-deflate).
    ``ca``
        For wss: trust these certificates instead of the system's. The path of a PEM file, or PEM text as ``bytes``;
        a server's own certificate will do. Certificates are always checked.
    ``certificate``, ``private_key``
        For wss: our own, for servers that ask; two PEM files.
    ``server_name``
        For wss: the name to ask for, and to check, instead of the URL's host.
    ``pins``
        For wss: keys of which the server's certificate must have one, ``'sha256/...'``, beside being trusted.
    ``proxy``
        The URL of a proxy: ``http://``, ``https://``, ``socks5://`` or ``socks5h://``. ``''`` is none; ``None`` is what
        the environment says (``https_proxy``, ``http_proxy``, ``all_proxy``, ``no_proxy``).
    ``proxy_ca``
        Whom to trust for TLS to an ``https://`` proxy, as ``ca``.
    ``max_redirects``
        How many redirects are followed; 0 makes them a refusal.
    ``max_message_bytes``
        Longest message, inflated; a longer one closes the connection with 1009.
    ``connect_timeout``, ``handshake_timeout``
        Seconds for the way to the server, proxy and TLS included, and for the opening handshake.
    ``message_timeout``
        Seconds from a message's first byte to its last.
    ``write_timeout``
        Seconds that the server may read nothing while something is to be sent.
    ``close_timeout``
        Seconds to wait for the server's side of the closing handshake.
    ``ping_interval``, ``pong_timeout``
        Seconds of silence before a ping is sent, and from it to a sign of life.

    ``None`` in place of seconds is no limit (no pings).

    Raises :class:`linkspan.ConnectError` when the server is not reached, :class:`linkspan.TlsError`,
    :class:`linkspan.HandshakeError` with its status when it refuses, :class:`linkspan.TimedOut`, all of them
    :class:`linkspan.Error`; ``ValueError`` or ``TypeError`` for an option that cannot be.
    """
    dial = _linkspan.Dial(url, build(
        subprotocols=subprotocols, headers=headers, origin=origin, deflate=deflate, ca=ca, certificate=certificate,
        private_key=private_key, server_name=server_name, pins=pins, proxy=proxy, proxy_ca=proxy_ca,
        max_redirects=max_redirects, max_message_bytes=max_message_bytes, connect_timeout=connect_timeout,
        handshake_timeout=handshake_timeout, message_timeout=message_timeout, write_timeout=write_timeout,
        close_timeout=close_timeout, ping_interval=ping_interval, pong_timeout=pong_timeout))
    if _loop_is_running():
        return _AwaitedWebSocket(dial)
    return WebSocket(_reach(dial))


def connect_raw(
    url: str,
    *,
    ca: Optional[_Pem] = None,
    certificate: Optional[_Path] = None,
    private_key: Optional[_Path] = None,
    server_name: Optional[str] = None,
    pins: Sequence[str] = (),
    proxy: Optional[str] = None,
    proxy_ca: Optional[_Pem] = None,
    max_message_bytes: int = 16 << 20,
    connect_timeout: Optional[float] = 30.0,
) -> RawConnection:
    """Connects to where a WebSocket server is, TLS and proxy included, and says nothing: the opening handshake is
    yours to write, right or wrong. A :class:`linkspan.RawConnection`, or in a coroutine, awaited, a
    :class:`linkspan.AsyncRawConnection`. The options are those of :func:`connect`.

    ::

        with linkspan.connect_raw(url) as raw:
            raw.send(linkspan.opening_request(url).replace(b'Version: 13', b'Version: 12'))
            assert raw.receive_head(timeout=10).startswith(b'HTTP/1.1 426 ')
    """
    dial = _linkspan.Dial(url, build(
        ca=ca, certificate=certificate, private_key=private_key, server_name=server_name, pins=pins, proxy=proxy,
        proxy_ca=proxy_ca, max_message_bytes=max_message_bytes, connect_timeout=connect_timeout), raw=True)
    if _loop_is_running():
        return _AwaitedRawConnection(dial)
    return RawConnection(_reach(dial))


def opening_request(
    url: str,
    *,
    key: Optional[str] = None,
    subprotocols: Sequence[str] = (),
    headers: _Headers = (),
    origin: Optional[str] = None,
    deflate: bool = False,
) -> bytes:
    """The request that :func:`connect` would send, to be spoilt and sent by a :class:`linkspan.RawConnection`.

    ``key`` is its ``Sec-WebSocket-Key``, 16 bytes in base64; a random one when it is ``None``.
    """
    if key is None:
        key = base64.b64encode(os.urandom(16)).decode('ascii')
    options = build(subprotocols=subprotocols, headers=headers, origin=origin, deflate=deflate)
    return _linkspan.opening_request(url, key, options)


connect.__module__ = connect_raw.__module__ = opening_request.__module__ = 'linkspan'


def _loop_is_running() -> bool:
    asyncio = sys.modules.get('asyncio')
    return asyncio is not None and asyncio._get_running_loop() is not None


def _reach(dial: _linkspan.Dial) -> Any:
    while True:
        reached = dial.go_on()
        if reached is not None:
            return reached
        dial.wait()


class _Awaited:
    """What is returned inside of asyncio: to be awaited, and of no other use."""

    def __init__(self, dial: _linkspan.Dial) -> None:
        self._dial: Optional[_linkspan.Dial] = dial
        self._entered: Any = None

    def __getattr__(self, name: str) -> Any:
        # Every method of the classes that wait asks for it.
        if name == '_native':
            raise RuntimeError(_FORGOTTEN)
        raise AttributeError('%r object has no attribute %r' % (type(self).__name__, name))

    async def _open(self) -> Any:
        raise NotImplementedError

    def _take(self) -> _linkspan.Dial:
        dial, self._dial = self._dial, None
        if dial is None:
            raise RuntimeError('this connection was awaited already: call linkspan.connect again for another')
        return dial

    def __await__(self) -> Generator[Any, None, Any]:
        return self._open().__await__()

    async def __aenter__(self) -> Any:
        self._entered = await self._open()
        return await self._entered.__aenter__()

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        traceback: Optional[TracebackType]) -> None:
        await self._entered.__aexit__(kind, error, traceback)

    def __repr__(self) -> str:
        return '<%s, to be awaited>' % type(self).__name__

    def __del__(self) -> None:
        if getattr(self, '_dial', None) is not None:
            import warnings
            warnings.warn(_FORGOTTEN, RuntimeWarning, stacklevel=2)


_FORGOTTEN = 'in a coroutine a connection is awaited: ws = await linkspan.connect(url), or async with'


class _AwaitedWebSocket(_Awaited, WebSocket):
    async def _open(self) -> AsyncWebSocket:
        from linkspan._asynchronous import AsyncWebSocket, reach
        return AsyncWebSocket(await reach(self._take()))


class _AwaitedRawConnection(_Awaited, RawConnection):
    async def _open(self) -> AsyncRawConnection:
        from linkspan._asynchronous import AsyncRawConnection, reach
        return AsyncRawConnection(await reach(self._take()))
