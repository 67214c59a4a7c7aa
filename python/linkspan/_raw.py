"""A client's connection without a WebSocket's manners, on the caller's thread."""

from __future__ import annotations

from linkspan import _linkspan
from linkspan._facts import Frame, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Generator, Optional, Union

    from linkspan._asynchronous import AsyncRawConnection
    from linkspan._facts import _Bytes


class RawConnection:
    """Bytes and frames, as they are: what :func:`linkspan.connect_raw` and :meth:`linkspan.WebSocket.detach` return.

    Nothing is checked, nothing is answered, no deadline runs: you are the WebSocket. It works over TLS and through
    proxies as any client does. One thread receives, others may send. ``with`` closes it at the end of the block.
    """

    __module__ = 'linkspan'

    def __init__(self, native: _linkspan.RawStream) -> None:
        self._native = native

    def send(self, data: _Bytes) -> None:
        """Sends bytes, and waits until the system has all of them. Raises :class:`linkspan.ConnectionClosed`."""
        self._native.send(data)

    def send_frame(self, opcode: int, payload: Union[str, _Bytes] = b'', *, fin: bool = True, rsv: int = 0,
                   mask: Union[bool, bytes] = True, length: Optional[int] = None) -> None:
        """Sends one frame, right or wrong. The arguments are those of :func:`linkspan.frame`."""
        self._native.send(frame(opcode, payload, fin=fin, rsv=rsv, mask=mask, length=length))

    def receive(self, max_bytes: int = 65536, timeout: Optional[float] = None) -> bytes:
        """Waits for bytes: those that are there, at most ``max_bytes``; ``b''`` at the end of the stream. Raises
        :class:`linkspan.TimedOut` after ``timeout`` seconds, :class:`linkspan.ConnectionClosed` when it broke."""
        data = self._native.receive(max_bytes, timeout)
        assert data is not None
        return data

    def receive_head(self, timeout: Optional[float] = None) -> bytes:
        """Waits for an HTTP head: the bytes up to the first empty line and with it. What follows is left for the
        next call. Raises :class:`linkspan.ConnectionClosed` when the stream ends before."""
        head = self._native.receive_head(timeout)
        assert head is not None
        return head

    def receive_frame(self, timeout: Optional[float] = None) -> Optional[Frame]:
        """Waits for the next frame, good or bad; ``None`` at the end of the stream.

        Raises :class:`linkspan.ConnectionClosed` when the stream ends inside of a frame, :class:`linkspan.TimedOut`,
        and :class:`linkspan.Error` for a length that is above ``max_message_bytes``, or written in more bytes
        than it needs; then :meth:`receive` still gives the bytes.
        """
        frames = self._native.receive_frame(timeout)
        return Frame(*frames[0]) if frames else None

    def end_sending(self) -> None:
        """Ends the sending half of the stream: the server reads its end; receiving goes on."""
        self._native.flush()
        self._native.end_sending()

    def close(self) -> None:
        """Ends the stream at once. No close frame is sent: ``send_frame(8, b'\\x03\\xe8')`` is one."""
        self._native.abort()

    @property
    def peer(self) -> str:
        """The other end, ``'127.0.0.1:9998'``; a proxy where there is one."""
        return self._native.peer

    def fileno(self) -> int:
        """The descriptor, for ``select`` and the like; not to be read, written or closed."""
        return self._native.fileno()

    def __enter__(self) -> RawConnection:
        self._native.fileno()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.close()

    def __await__(self) -> Generator[Any, None, AsyncRawConnection]:
        raise TypeError('this connection is there already, made outside of asyncio: call linkspan.connect_raw in a '
                        'coroutine to await it')

    async def __aenter__(self) -> AsyncRawConnection:
        return await self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        traceback: Optional[TracebackType]) -> None:
        self.close()
