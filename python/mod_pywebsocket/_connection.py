"""The connection of our own server, as handlers and streams see it."""

import select
import threading

from mod_pywebsocket._native import Channel


class _StandaloneConnection:
    """Raw bytes of one connection: ``request.connection``."""

    # The native connection while nobody has replaced `read` or `write`; a stream may use it instead.
    _channel = None

    def __init__(self, request_handler):
        """``request_handler`` is the ``WebSocketRequestHandler`` of the connection."""
        # Never by way of `__dict__`, nor with a default on the class: Python would be slower to find these for
        # each message.
        keep = super().__setattr__
        keep('_request_handler', request_handler)
        channel = request_handler.request
        is_native = type(channel) is Channel
        # What the server itself has to say leaves here, whatever handlers do to `read` and `write`.
        keep('_line', channel if is_native else WrappedLine(request_handler))
        if is_native and type(self) is _StandaloneConnection:
            keep('read', channel.read)
            keep('write', channel.write)
            keep('_channel', channel)
            keep('_receive', channel.receive_message)
            keep('_send', channel.send_frame)
        else:
            keep('_receive', None)
            keep('_send', None)

    def __setattr__(self, name, value):
        keep = super().__setattr__
        keep(name, value)
        if name in ('read', 'write'):
            keep('_channel', None)
            keep('_receive', None)
            keep('_send', None)

    def _replace(self, read, write):
        """As if by a handler, but a stream may go on to use the native connection."""
        keep = super().__setattr__
        keep('read', read)
        keep('write', write)

    def get_local_addr(self):
        """``(host, port)`` as the server was told to listen on."""
        server = self._request_handler.server
        return server.server_name, server.server_port

    local_addr = property(get_local_addr)

    def get_remote_addr(self):
        """The peer's address as its socket tells it."""
        return self._request_handler.client_address

    remote_addr = property(get_remote_addr)

    def write(self, data):
        """Sends all of ``data``, a bytes-like object."""
        self._line.write(data)

    def read(self, length):
        """What has come, at least one byte and at most ``length``; ``b''`` at the end."""
        return self._line.read(length)

    def get_memorized_lines(self):
        """The lines of the request's head as ``bytes``, the empty one included."""
        return self._request_handler.rfile.get_memorized_lines()


class WrappedLine:
    """What a native connection can do for its server, over a socket that somebody has wrapped."""

    def __init__(self, request_handler):
        self._request_handler = request_handler
        self._writing = threading.Lock()
        # Bytes read and written, messages received, their bytes, messages sent, their bytes.
        self._traffic = [0] * 6

    def read(self, length):
        data = self._request_handler.rfile.read(length)
        self._traffic[0] += len(data)
        return data

    def write(self, data):
        with self._writing:
            self._request_handler.wfile.write(data)
            self._traffic[1] += len(data)

    def offer(self, data):
        if not self._writing.acquire(blocking=False):
            return False
        try:
            if not self._is_ready(select.POLLOUT):
                return False
            self._request_handler.wfile.write(data)
            return True
        except (OSError, ValueError):
            return False
        finally:
            self._writing.release()

    def unread(self):
        """More than none is all that can be told."""
        return int(self._is_ready(select.POLLIN))

    def traffic(self):
        return tuple(self._traffic)

    def count_received(self, length):
        self._traffic[2] += 1
        self._traffic[3] += length

    def count_sent(self, length):
        self._traffic[4] += 1
        self._traffic[5] += length

    def shutdown(self, how):
        self._request_handler.connection.shutdown(how)

    def _is_ready(self, event):
        poll = select.poll()
        try:
            poll.register(self._request_handler.connection.fileno(), event)
            return any(events & event for _, events in poll.poll(0))
        except (AttributeError, OSError, ValueError):
            return False


class ChannelFile:
    """A native connection as the file that ``http.server`` reads from and the one that it writes to."""

    closed = False

    def __init__(self, channel):
        self._channel = channel

    def __getattr__(self, name):
        # What else a connection can do.
        return getattr(self._channel, name)

    def readline(self, limit=-1):
        """The next line, or at most ``limit`` bytes of it."""
        return self._channel.readline(limit)

    def read(self, length):
        """At least one byte, at most ``length``; ``b''`` at the end."""
        return self._channel.read(length)

    def write(self, data):
        """Sends all of ``data``."""
        self._channel.write(data)

    def flush(self):
        """Nothing waits here."""

    def close(self):
        """The connection's end is its server's business."""
