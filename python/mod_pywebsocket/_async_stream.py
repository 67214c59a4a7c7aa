"""The stream of an ``async`` handler: :class:`AsyncStream`.

The rules are those of :class:`~mod_pywebsocket.stream.Stream`. It waits on the loop until a frame can be taken
without waiting, and then takes it as its base class does; what it sends is kept, bounded by one message for each
stream, until the kernel has taken it.
"""

import asyncio
from collections.abc import Awaitable

from mod_pywebsocket import common
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket._stream_exceptions import ConnectionTerminatedException
from mod_pywebsocket.stream import Stream

# So often may a task receive and send without waiting before the others have their turn.
_TURN = 64


class AsyncStream(Stream):
    """The same methods as a :class:`Stream`, awaitable on the loop; from any other thread they wait as there.

    One task may receive while others send. A send returns when the kernel has all of the message.
    """

    def __init__(self, stream, loop):
        """Takes over an open ``stream``; ``loop`` is the :class:`~mod_pywebsocket._loop.Loop` of the handlers.

        Raises ``TypeError`` for a connection that is not our own server's.
        """
        self.__dict__.update(stream.__dict__)
        self._has_ended = False
        connection = stream._request.connection
        self._channel = getattr(connection, '_channel', None)
        self._check_open()
        self._loop = loop.asyncio
        self._watch = self._channel.watch()
        self._is_secure = stream._request.is_https()
        connection.__dict__.update(read=self._read_raw, write=self._write_raw)
        # The future of who waits for bytes; whether the loop watches for them.
        self._reading = None
        self._is_watching = False
        # The task that receives, and futures of those that wait until it stops.
        self._receiver = None
        self._closers = []
        # Whether something waits for the kernel to take it, and futures of those who wait for that.
        self._is_unsent = False
        self._senders = []
        self._credit = _TURN

    # What handlers call.

    def receive_message(self):
        """As :meth:`Stream.receive_message`. ``RuntimeError`` while another task receives."""
        return self._on_loop(self._receive())

    def send_message(self, message, end=True, binary=False):
        """As :meth:`Stream.send_message`."""
        return self._on_loop(self._send(message, end, binary))

    def send_ping(self, body, binary=False):
        """As :meth:`Stream.send_ping`."""
        return self._on_loop(self._ping(body, binary))

    def close_connection(self, code=common.STATUS_NORMAL_CLOSURE, reason='', wait_response=True):
        """As :meth:`Stream.close_connection`; the answer may come to another task that receives."""
        return self._on_loop(self._close(code, reason, wait_response))

    def _on_loop(self, coroutine):
        running = asyncio._get_running_loop()
        if running is self._loop:
            return coroutine
        outcome = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return outcome.result() if running is None else asyncio.wrap_future(outcome)

    # Receiving.

    async def _receive(self):
        self._check_receivable()
        task, outer = asyncio.current_task(), self._receiver
        # What a hook inside of a receive does is the same task's.
        if outer is not None and outer is not task:
            raise RuntimeError('another task receives from this stream already; let one receive and pass on')
        self._receiver = task
        try:
            while True:
                await self._frame()
                message = self._take_frame()
                if message is None:
                    continue
                opcode = self._original_opcode
                if opcode == common.OPCODE_TEXT or opcode == common.OPCODE_BINARY:
                    return message
                if opcode == common.OPCODE_CLOSE:
                    if self._note_close(message):
                        self._answer_close(message, await _value(self._close_answer()))
                        await self._sent()
                    return None
                if opcode == common.OPCODE_PING:
                    await _value(self._process_ping_message(message))
                    # A peer that only asks and never reads is not heard on.
                    await self._sent()
                else:
                    await _value(self._process_pong_message(message))
        finally:
            self._receiver = outer
            while self._closers and outer is None:
                closer = self._closers.pop()
                if not closer.done():
                    closer.set_result(None)

    async def _frame(self):
        """Waits until the next frame can be taken without waiting."""
        reads = False
        while True:
            self._check_open()
            try:
                is_ready = self._channel.poll_frame(
                    self._room(), self._text_check(), self._fragmented_opcode == common.OPCODE_TEXT, reads)
                if reads and self._is_secure and self._channel.flush():
                    # TLS itself has something to say to what came.
                    self._watch_writable()
            except OSError as e:
                raise ConnectionTerminatedException('receiving failed: %s' % e)
            if is_ready:
                return await self._take_turns()
            await self._readable()
            reads = True

    async def _readable(self):
        if not self._is_watching:
            self._loop.add_reader(self._watch.fileno(), self._on_readable)
            self._is_watching = True
        self._credit = _TURN
        self._reading = self._loop.create_future()
        try:
            await self._reading
        finally:
            self._reading = None

    def _on_readable(self):
        if self._reading is None:
            # Nobody receives: the bytes wait in the kernel.
            self._loop.remove_reader(self._watch.fileno())
            self._is_watching = False
        elif not self._reading.done():
            self._reading.set_result(None)

    async def _take_turns(self):
        self._credit -= 1
        if self._credit == 0:
            self._credit = _TURN
            await asyncio.sleep(0)

    # Sending.

    async def _send(self, message, end, binary):
        self._check_open()
        self._check_sendable(message, binary)
        while self._is_unsent:
            await self._sent()
            self._check_sendable(message, binary)
        if end and self._is_plain_sender() and isinstance(message, bytes if binary else str):
            if self._send_plain_message(self._channel.post_frame, message, binary):
                self._watch_writable()
        else:
            self._write(self._build_message(message, end, binary))
        await self._sent()

    async def _ping(self, body, binary):
        Stream.send_ping(self, body, binary)
        await self._sent()

    async def _close(self, code, reason, wait_response):
        if not self._send_close(code, reason, wait_response):
            await self._sent()
            return
        seconds = self._options.close_timeout
        # Whoever waits for the peer then sees the end of the connection.
        end = self._loop.call_later(seconds, self._channel.shutdown, 2) if seconds else None
        try:
            await self._close_answered()
        finally:
            if end is not None:
                end.cancel()

    async def _close_answered(self):
        if not self._request.client_terminated:
            while self._receiver not in (None, asyncio.current_task()):
                # The answer comes to that one.
                closer = self._loop.create_future()
                self._closers.append(closer)
                await closer
                if self._request.client_terminated:
                    return
        self._check_close_answer(await self._receive())

    async def _sent(self):
        """Waits until the kernel has all that was sent."""
        if not self._is_unsent:
            return await self._take_turns()
        self._credit = _TURN
        sender = self._loop.create_future()
        self._senders.append(sender)
        await sender

    def _watch_writable(self):
        if not self._is_unsent and not self._has_ended:
            self._is_unsent = True
            self._loop.add_writer(self._watch.fileno(), self._on_writable)

    def _on_writable(self):
        failure = None
        try:
            if self._channel.flush():
                return
        except OSError as e:
            self._prepend_peer(e)
            failure = e
        self._let_senders_go(failure)

    def _let_senders_go(self, failure):
        self._is_unsent = False
        self._loop.remove_writer(self._watch.fileno())
        senders, self._senders = self._senders, []
        for sender in senders:
            if sender.done():
                continue
            if failure is None:
                sender.set_result(None)
            else:
                sender.set_exception(failure)

    # Underneath.

    def _native_channel(self):
        return self._channel

    def _check_open(self):
        """Raises unless the connection is still the server's own, and not at its end."""
        connection = self._request.connection
        if type(connection) is not _StandaloneConnection or connection._channel is not self._channel or not self._channel:
            raise TypeError('an async handler needs the connection of our own server with its own methods: '
                            'use a handler without async')
        if self._has_ended:
            raise ConnectionTerminatedException('the handler of this connection has returned')

    def _read_raw(self, length):
        """``connection.read``: what has come. It cannot wait here, and raises ``BlockingIOError`` instead."""
        channel = self._channel
        if not channel.peek() and not channel.poll_frame(0, None, False, True) and not channel.peek():
            raise BlockingIOError('nothing has come, and connection.read cannot wait in an async handler')
        return channel.read(length)

    def _write_raw(self, data):
        """``connection.write``: sends what goes now, and the rest later; not while there is a rest."""
        if self._is_unsent:
            raise BlockingIOError('what was written before has not gone yet, and connection.write cannot wait in an '
                                  'async handler')
        self._post(data)

    def _write(self, bytes_to_write):
        try:
            self._post(bytes_to_write)
        except Exception as e:
            self._prepend_peer(e)
            raise

    def _post(self, data):
        if not self._channel.post(data):
            return
        if asyncio._get_running_loop() is self._loop:
            self._watch_writable()
        else:
            self._loop.call_soon_threadsafe(self._watch_writable)

    async def end(self):
        """Sends what is left, then ends what still waits on the connection, which is about to be closed."""
        try:
            await self._sent()
        except OSError:
            # The peer is gone.
            pass
        finally:
            self._has_ended = True
            self._loop.remove_reader(self._watch.fileno())
            self._let_senders_go(ConnectionTerminatedException('the handler of this connection has returned'))
            if self._reading is not None and not self._reading.done():
                self._reading.set_result(None)
            self._watch = None


async def _value(result):
    """What a hook gave, ``async`` or not."""
    return await result if isinstance(result, Awaitable) else result
