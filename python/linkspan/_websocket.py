"""The client that waits on the caller's thread."""

from __future__ import annotations

from linkspan import _linkspan
from linkspan._errors import ConnectionClosed
from linkspan._facts import Facts, check_code, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Generator, Iterator, Optional, Union

    from linkspan._asynchronous import AsyncWebSocket
    from linkspan._facts import _Bytes, _Message
    from linkspan._raw import RawConnection


class WebSocket(Facts):
    """A connected WebSocket client, as :func:`linkspan.connect` returns it outside of asyncio.

    One thread receives, any number may send, at once; other threads run while one waits here, and Ctrl-C works.
    Pings are answered, and the server's silence is noticed, while some thread receives.

    ``with`` closes it at the end of the block; after an exception it is aborted instead, so that nobody waits for a
    server that has been given up. ``for message in ws`` receives until the server closes.

    Whatever is done after the end raises :class:`linkspan.ConnectionClosed`, but closing again.
    """

    __module__ = 'linkspan'

    def __init__(self, native: _linkspan.WebSocket) -> None:
        self._native = native

    def receive(self, timeout: Optional[float] = None) -> _Message:
        """Waits for the next message: ``str`` for a text, ``bytes`` for a binary one.

        Raises :class:`linkspan.TimedOut`, a ``TimeoutError``, when none has come in ``timeout`` seconds (nothing is
        lost by that; 0 looks whether one is there), and :class:`linkspan.ConnectionClosed` with the close code when
        the server has closed and no message is left.
        """
        return self._native.receive(timeout)

    def send(self, message: Union[str, _Bytes]) -> None:
        """Sends a message, text for a ``str``, binary for bytes, and waits until the system has all of it.

        A server that does not read makes this wait, at most for ``write_timeout``; where it does not read because it
        waits for us to, receive on another thread. Raises :class:`linkspan.ConnectionClosed`.
        """
        self._native.send(message)

    def send_fragment(self, piece: Union[str, _Bytes], end: bool = False) -> None:
        """Sends a piece of a message, each in a frame of its own; ``end`` with the last.

        ::

            ws.send_fragment('hel')
            ws.ping()
            ws.send_fragment('lo', end=True)

        All pieces of a message are ``str`` or all are bytes. Until the last, no other message can be sent:
        ``ValueError``.
        """
        self._native.send_fragment(piece, end)

    def ping(self, payload: Union[str, _Bytes] = b'') -> None:
        """Sends a ping of at most 125 bytes; the server's pong is read by ``receive`` and not told."""
        self._native.ping(payload)

    def pong(self, payload: Union[str, _Bytes] = b'') -> None:
        """Sends a pong that nobody has asked for. Pings are answered without it."""
        self._native.pong(payload)

    def close(self, code: Optional[int] = 1000, reason: str = '') -> None:
        """Closes: what was sent leaves first, then the close frame; waits for the server's answer and for the end of
        the stream, at most for ``close_timeout``. ``close_code`` tells how it went; what still comes is dropped.

        ``code`` is 1000 to 1003, 1007 to 1014 or 3000 to 4999, or ``None`` for a close frame without one; ``reason``
        has at most 123 bytes: else ``ValueError``. Closing twice is no error.
        """
        self._native.close(check_code(code), reason)

    def send_raw(self, data: _Bytes) -> None:
        """Sends bytes as they are, past all checks: for those who test what a server makes of them.

        What the server sends is read and judged as before, but this end knows no longer what it has said itself:
        ``ConnectionClosed.clean`` is ``False`` from now on. It goes on to answer pings and close frames; use
        :meth:`detach` where it must not.
        """
        self._native.send_raw(data)

    def send_frame(self, opcode: int, payload: Union[str, _Bytes] = b'', *, fin: bool = True, rsv: int = 0,
                   mask: Union[bool, bytes] = True, length: Optional[int] = None) -> None:
        """Sends one frame, right or wrong, by :meth:`send_raw`. The arguments are those of :func:`linkspan.frame`.

        ::

            ws.send_frame(1, b'\\xff')                # a text that is not UTF-8
            ws.send_frame(3, mask=False)             # two mistakes at once
        """
        self._native.send_raw(frame(opcode, payload, fin=fin, rsv=rsv, mask=mask, length=length))

    def detach(self) -> RawConnection:
        """The connection without a WebSocket's manners, as :class:`linkspan.RawConnection`: frames are seen as they
        come, and nothing is answered. What was read and not received goes with it; this object is of no use
        afterwards. Raises :class:`linkspan.Error` when the connection is not open, half of a message has been
        read, or another thread uses it.
        """
        from linkspan._raw import RawConnection
        return RawConnection(self._native.detach())

    def __iter__(self) -> Iterator[_Message]:
        """Messages until the end. A clean close ends it quietly, whatever its code (``close_code`` tells); anything
        else raises :class:`linkspan.ConnectionClosed`."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed as closed:
                if closed.clean:
                    return
                raise
            yield message

    def __enter__(self) -> WebSocket:
        self._native.fileno()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        # One that was detached belongs to somebody else.
        if self._native.is_detached():
            return
        if kind is None:
            self.close()
        else:
            self.abort()

    # What `connect` returns inside of asyncio overrides these: one name serves both.

    def __await__(self) -> Generator[Any, None, AsyncWebSocket]:
        raise TypeError('this WebSocket is connected already, outside of asyncio: call linkspan.connect in a '
                        'coroutine to await it')

    async def __aenter__(self) -> AsyncWebSocket:
        return await self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        traceback: Optional[TracebackType]) -> None:
        self.abort()
