"""The stream of an ``async`` handler: :class:`AsyncStream`.

The rules are those of :class:`~mod_pywebsocket.stream.Stream`. It waits on the loop until a frame can be taken
without waiting, and then takes it as its base class does; what it sends is kept, bounded by one message for each
stream, until the kernel has taken it.
"""

import asyncio
from asyncio import _get_running_loop
from collections.abc import Awaitable

from mod_pywebsocket import common
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket._stream_exceptions import ConnectionTerminatedException
from mod_pywebsocket.stream import _BINARY, _TEXT, Stream

# So often may a task send without waiting before the others have their turn.
_TURN = 64
# Whoever receives a message for which no hook is called.
_SOMEBODY = object()


class AsyncStream(Stream):
    """The same methods as a :class:`Stream`, awaitable on the loop; from any other thread they wait as there.

    One task may receive while others send. A send returns when the kernel has all of the message.
    """

    def __init__(self, stream, loop):
        """Takes over an open ``stream``; ``loop`` is the :class:`~mod_pywebsocket._loop.Loop` of the handlers.

        Raises ``TypeError`` for a connection that is not our own server's.
        """
        # Not by way of `__dict__`: Python would be slower to find these for each message.
        for name, value in vars(stream).items():
            setattr(self, name, value)
        # The server's own, and None after the end.
        self._connection = connection = stream._request.connection
        self._channel = getattr(connection, '_channel', None)
        self._check_open()
        self._loop = loop.asyncio
        self._arrival = loop.arrivals.add(self._channel)
        self._await_frame = self._arrival.frame
        self._take_message = self._channel.receive_message
        self._post_frame = self._channel.post_frame
        connection._replace(self._read_raw, self._write_raw)
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
        coroutine = self._receive()
        return coroutine if _get_running_loop() is self._loop else self._elsewhere(coroutine)

    def send_message(self, message, end=True, binary=False):
        """As :meth:`Stream.send_message`."""
        coroutine = self._send(message, end, binary)
        return coroutine if _get_running_loop() is self._loop else self._elsewhere(coroutine)

    def send_ping(self, body, binary=False):
        """As :meth:`Stream.send_ping`."""
        coroutine = self._ping(body, binary)
        return coroutine if _get_running_loop() is self._loop else self._elsewhere(coroutine)

    def close_connection(self, code=common.STATUS_NORMAL_CLOSURE, reason='', wait_response=True):
        """As :meth:`Stream.close_connection`; the answer may come to another task that receives."""
        coroutine = self._close(code, reason, wait_response)
        return coroutine if _get_running_loop() is self._loop else self._elsewhere(coroutine)

    def _elsewhere(self, coroutine):
        outcome = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return outcome.result() if _get_running_loop() is None else asyncio.wrap_future(outcome)

    # Receiving.

    async def _receive(self):
        request, options = self._request, self._options
        connection = self._connection
        # As in Stream, an ordinary message takes fewer steps.
        if (request.connection is connection and connection._channel is self._channel and self._receiver is None
                and self._fragmented_opcode is None and not request.client_terminated and options.unmask_receive
                and not options.incoming_frame_filters and not options.incoming_message_filters):
            self._receiver = _SOMEBODY
            try:
                await self._await_frame(self._max_message_bytes, self._utf8 or self._text_check(), False)
                # The connection may have ended meanwhile.
                if self._connection is connection:
                    message = self._take_message(self._max_message_bytes)
                    if message is not None:
                        self._original_opcode = _BINARY if type(message) is bytes else _TEXT
                        return message
            except (ValueError, OSError, EOFError) as e:
                self._refuse_message(e)
            finally:
                self._receiver = None
                if self._closers:
                    self._let_closers_go()
        return await self._receive_any()

    async def _receive_any(self):
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
            if outer is None and self._closers:
                self._let_closers_go()

    def _let_closers_go(self):
        closers, self._closers = self._closers, []
        for closer in closers:
            if not closer.done():
                closer.set_result(None)

    async def _frame(self):
        """Waits until the next frame can be taken without waiting."""
        self._check_open()
        try:
            await self._arrival.frame(self._room(), self._text_check(), self._fragmented_opcode == common.OPCODE_TEXT)
            self._check_open()
            if self._request.is_https() and self._channel.flush():
                # TLS itself has something to say to what came.
                self._watch_writable()
        except OSError as e:
            raise ConnectionTerminatedException('receiving failed: %s' % e)

    # Sending.

    async def _send(self, message, end, binary):
        connection, options = self._connection, self._options
        # As above.
        if (self._request.connection is connection and connection._channel is self._channel and end
                and not self._is_unsent and type(message) is (bytes if binary else str)
                and not self._request.server_terminated and self._writer._open is None and not options.mask_send
                and not options.outgoing_message_filters and not options.outgoing_frame_filters):
            try:
                has_rest = self._post_frame(message, 0x82 if binary else 0x81)
            except Exception as e:
                self._refuse_sending(e)
            if has_rest:
                self._watch_writable()
            elif self._credit > 0:
                self._credit -= 1
                return
        else:
            await self._send_any(message, end, binary)
        await self._sent()

    async def _send_any(self, message, end, binary):
        self._check_open()
        self._check_sendable(message, binary)
        while self._is_unsent:
            await self._sent()
            self._check_sendable(message, binary)
        if end and self._is_plain_sender() and isinstance(message, bytes if binary else str):
            if self._send_plain_message(self._post_frame, message, binary):
                self._watch_writable()
        else:
            self._write(self._build_message(message, end, binary))

    async def _ping(self, body, binary):
        Stream.send_ping(self, body, binary)
        await self._sent()

    async def _close(self, code, reason, wait_response):
        if not self._send_close(code, reason, wait_response):
            await self._sent()
            return
        seconds = self._close_timeout
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
            self._credit -= 1
            if self._credit < 0:
                self._credit = _TURN
                await asyncio.sleep(0)
            return
        self._credit = _TURN
        sender = self._loop.create_future()
        self._senders.append(sender)
        await sender

    def _watch_writable(self):
        if not self._is_unsent and self._connection is not None:
            self._is_unsent = True
            self._loop.add_writer(self._arrival.fileno(), self._on_writable)

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
        self._loop.remove_writer(self._arrival.fileno())
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
        if self._connection is None:
            raise ConnectionTerminatedException('the handler of this connection has returned')

    def _read_raw(self, length):
        """``connection.read``: what has come. It cannot wait here, and raises ``BlockingIOError`` instead."""
        data = self._channel.read_now(length)
        if data is None:
            raise BlockingIOError('nothing has come, and connection.read cannot wait in an async handler')
        return data

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
        if _get_running_loop() is self._loop:
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
            self._connection = None
            self._let_senders_go(ConnectionTerminatedException('the handler of this connection has returned'))
            self._arrival.end()


async def _value(result):
    """What a hook gave, ``async`` or not."""
    return await result if isinstance(result, Awaitable) else result
