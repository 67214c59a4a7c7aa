"""The clients for asyncio: on the running loop, without threads. Names of hosts are looked up by native threads."""

from __future__ import annotations

import asyncio

from linkspan import _linkspan
from linkspan._errors import ConnectionClosed, TimedOut
from linkspan._facts import Facts, Frame, check_code, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, AsyncIterator, Callable, Optional, TypeVar, Union

    from linkspan._facts import _Bytes, _Message

    _T = TypeVar('_T')

# After so many calls that did not have to wait, others on the loop have a turn.
_TURN = 64


async def reach(dial: _linkspan.Dial) -> Any:
    """Goes the way to the server."""
    loop = asyncio.get_running_loop()
    while True:
        reached = dial.go_on()
        if reached is not None:
            return reached
        sockets, seconds = dial.awaits()
        ready = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _wake, ready)
        for fd, reading, writing in sockets:
            if reading:
                loop.add_reader(fd, _wake, ready)
            if writing:
                loop.add_writer(fd, _wake, ready)
        try:
            await ready
        finally:
            # Before the next step closes one of them.
            for fd, _, _ in sockets:
                loop.remove_reader(fd)
                loop.remove_writer(fd)
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class _Readiness:
    """Waits for one descriptor on the running loop, for any number of tasks."""

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        # Who waits, and whether for writing.
        self._waiters: dict[asyncio.Future[None], tuple[bool, bool]] = {}
        self._is_reading = self._is_writing = False
        self._timer: Optional[asyncio.TimerHandle] = None

    async def wait(self, reading: bool, writing: bool, seconds: Optional[float]) -> None:
        """Returns when one of these may have come; too early does no harm."""
        if reading and not self._is_reading:
            self._loop.add_reader(self._fd, self._came, 0)
            self._is_reading = True
        if writing and not self._is_writing:
            self._loop.add_writer(self._fd, self._came, 1)
            self._is_writing = True
        if seconds is not None:
            # It is left standing for the next wait: most end long before.
            at = self._loop.time() + seconds
            if self._timer is None or at < self._timer.when():
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at(at, self._due)
        waiter = self._loop.create_future()
        self._waiters[waiter] = (reading, writing)
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)

    def wake(self) -> None:
        """Everybody looks again."""
        for waiter in self._waiters:
            _wake(waiter)

    def stop(self) -> None:
        """Watches no more, until the next wait."""
        if not self._loop.is_closed():
            if self._is_reading:
                self._loop.remove_reader(self._fd)
            if self._is_writing:
                self._loop.remove_writer(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._is_reading = self._is_writing = False
        self.wake()

    def _came(self, way: int) -> None:
        is_awaited = False
        for waiter, ways in self._waiters.items():
            if ways[way]:
                is_awaited = True
                _wake(waiter)
        # Watching goes on between two waits; what nobody waits for would wake the loop for ever.
        if not is_awaited and way == 0:
            self._is_reading = False
            self._loop.remove_reader(self._fd)
        if not is_awaited and way == 1:
            self._is_writing = False
            self._loop.remove_writer(self._fd)

    def _due(self) -> None:
        self._timer = None
        self.wake()


class _Asynchronous:
    """What both clients do: try, and wait where that was in vain."""

    _native: Any

    def __init__(self, native: Any) -> None:
        self._native = native
        self._ready = _Readiness(native.fileno())
        self._turns = 0

    async def _until(self, attempt: Callable[[], Optional[_T]], timeout: Optional[float]) -> _T:
        """What ``attempt`` gives as soon as it gives something; nothing is taken that does not arrive here."""
        await self._take_turn()
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + max(timeout, 0.0)
        while True:
            got = attempt()
            if got is not None:
                return got
            reading, writing, seconds = self._native.awaits()
            if until is not None:
                left = until - loop.time()
                if left <= 0.0:
                    raise TimedOut('nothing has come in time')
                seconds = left if seconds is None else min(seconds, left)
            await self._ready.wait(reading, writing, seconds)
            self._turns = 0

    async def _all_left(self, done: bool) -> None:
        """Waits until what was accepted has left."""
        try:
            while not done:
                await self._ready.wait(False, True, self._native.awaits()[2])
                done = self._native.flush(False)
        finally:
            if not done:
                # Given up on: whoever receives sends the rest, and has to wait for that too.
                self._ready.wake()

    async def _take_turn(self) -> None:
        self._turns += 1
        if self._turns >= _TURN:
            self._turns = 0
            await asyncio.sleep(0)

    def __del__(self) -> None:
        ready = getattr(self, '_ready', None)
        if ready is not None:
            ready.stop()


class AsyncWebSocket(_Asynchronous, Facts):
    """A connected WebSocket client for asyncio, as ``await linkspan.connect(url)`` gives it.

    One task receives, any number may send, at once. Pings are answered, and the server's silence is noticed, while
    some task receives. A cancelled ``receive`` loses no message. Use it on the loop that it was made on.

    ``async with`` closes it at the end of the block, and aborts it after an exception; ``async for message in ws``
    receives until the server closes. All else is as with :class:`linkspan.WebSocket`.
    """

    __module__ = 'linkspan'

    _native: _linkspan.WebSocket

    async def receive(self, timeout: Optional[float] = None) -> _Message:
        """The next message, ``str`` or ``bytes``; see :meth:`linkspan.WebSocket.receive`."""
        return await self._until(self._native.try_receive, timeout)

    async def _send(self, send: Callable[..., bool], *arguments: Any) -> None:
        await self._take_turn()
        # Those who came earlier go first, so that what waits in memory is bounded.
        while self._native.is_full():
            await self._all_left(self._native.flush(False))
        await self._all_left(send(*arguments, False))

    async def send(self, message: Union[str, _Bytes]) -> None:
        """Sends a message, and waits until the system has all of it; see :meth:`linkspan.WebSocket.send`. One that
        is cancelled has been sent, or leaves with the next call."""
        await self._send(self._native.send, message)

    async def send_fragment(self, piece: Union[str, _Bytes], end: bool = False) -> None:
        """Sends a piece of a message; see :meth:`linkspan.WebSocket.send_fragment`."""
        await self._send(self._native.send_fragment, piece, end)

    async def ping(self, payload: Union[str, _Bytes] = b'') -> None:
        """Sends a ping of at most 125 bytes."""
        await self._send(self._native.ping, payload)

    async def pong(self, payload: Union[str, _Bytes] = b'') -> None:
        """Sends a pong that nobody has asked for."""
        await self._send(self._native.pong, payload)

    async def send_raw(self, data: _Bytes) -> None:
        """Sends bytes as they are, past all checks; see :meth:`linkspan.WebSocket.send_raw`."""
        await self._send(self._native.send_raw, data)

    async def send_frame(self, opcode: int, payload: Union[str, _Bytes] = b'', *, fin: bool = True, rsv: int = 0,
                         mask: Union[bool, bytes] = True, length: Optional[int] = None) -> None:
        """Sends one frame, right or wrong; see :func:`linkspan.frame`."""
        await self.send_raw(frame(opcode, payload, fin=fin, rsv=rsv, mask=mask, length=length))

    async def close(self, code: Optional[int] = 1000, reason: str = '') -> None:
        """Closes, and waits for the end; see :meth:`linkspan.WebSocket.close`."""
        is_over = self._native.close(check_code(code), reason, False)
        # A receiver has something else to wait for now.
        self._ready.wake()
        while not is_over:
            await self._ready.wait(*self._native.awaits())
            is_over = self._native.end()
        self._ready.stop()

    def abort(self) -> None:
        """Ends the connection at once, without a closing handshake: the server sees 1006."""
        self._native.abort()
        self._ready.stop()

    async def detach(self) -> AsyncRawConnection:
        """The connection without a WebSocket's manners; see :meth:`linkspan.WebSocket.detach`."""
        await self._all_left(self._native.flush(False))
        self._ready.stop()
        return AsyncRawConnection(self._native.detach())

    async def __aiter__(self) -> AsyncIterator[_Message]:
        """Messages until the end; see :class:`linkspan.WebSocket`."""
        while True:
            try:
                message = await self.receive()
            except ConnectionClosed as closed:
                if closed.clean:
                    return
                raise
            yield message

    async def __aenter__(self) -> AsyncWebSocket:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        traceback: Optional[TracebackType]) -> None:
        if self._native.is_detached():
            return
        if kind is None:
            await self.close()
        else:
            self.abort()


class AsyncRawConnection(_Asynchronous):
    """Bytes and frames, as they are, for asyncio: what ``await linkspan.connect_raw(url)`` gives. All is as with
    :class:`linkspan.RawConnection`, and what may wait is a coroutine."""

    __module__ = 'linkspan'

    _native: _linkspan.RawStream

    async def send(self, data: _Bytes) -> None:
        """Sends bytes, and waits until the system has all of them."""
        await self._take_turn()
        await self._all_left(self._native.send(data, False))

    async def send_frame(self, opcode: int, payload: Union[str, _Bytes] = b'', *, fin: bool = True, rsv: int = 0,
                         mask: Union[bool, bytes] = True, length: Optional[int] = None) -> None:
        """Sends one frame, right or wrong; see :func:`linkspan.frame`."""
        await self.send(frame(opcode, payload, fin=fin, rsv=rsv, mask=mask, length=length))

    async def receive(self, max_bytes: int = 65536, timeout: Optional[float] = None) -> bytes:
        """Bytes that are there, at most ``max_bytes``; ``b''`` at the end of the stream."""
        return await self._until(lambda: self._native.receive(max_bytes, None, False), timeout)

    async def receive_head(self, timeout: Optional[float] = None) -> bytes:
        """An HTTP head, with its empty line."""
        return await self._until(lambda: self._native.receive_head(None, False), timeout)

    async def receive_frame(self, timeout: Optional[float] = None) -> Optional[Frame]:
        """The next frame, good or bad; ``None`` at the end of the stream."""
        frames = await self._until(lambda: self._native.receive_frame(None, False), timeout)
        return Frame(*frames[0]) if frames else None

    async def end_sending(self) -> None:
        """Ends the sending half of the stream."""
        await self._all_left(self._native.flush(False))
        self._native.end_sending()

    def close(self) -> None:
        """Ends the stream at once."""
        self._native.abort()
        self._ready.stop()

    @property
    def peer(self) -> str:
        """The other end, ``'127.0.0.1:9998'``; a proxy where there is one."""
        return self._native.peer

    def fileno(self) -> int:
        """The descriptor; not to be read, written or closed."""
        return self._native.fileno()

    async def __aenter__(self) -> AsyncRawConnection:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        traceback: Optional[TracebackType]) -> None:
        self.close()
