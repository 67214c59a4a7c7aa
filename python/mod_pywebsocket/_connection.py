"""The connection of our own server, as handlers and streams see it."""

from linkspan._linkspan import Channel


class _StandaloneConnection:
    """Raw bytes of one connection: ``request.connection``."""

    # The native connection while nobody has replaced `read` or `write`; a stream may use it instead.
    _channel = None

    def __init__(self, request_handler):
        """``request_handler`` is the ``WebSocketRequestHandler`` of the connection."""
        self._request_handler = request_handler
        channel = request_handler.request
        if type(channel) is Channel and type(self) is _StandaloneConnection:
            self.__dict__.update(read=channel.read, write=channel.write, _channel=channel)

    def __setattr__(self, name, value):
        self.__dict__[name] = value
        if name in ('read', 'write'):
            self.__dict__['_channel'] = None

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
        self._request_handler.wfile.write(data)

    def read(self, length):
        """What has come, at least one byte and at most ``length``; ``b''`` at the end."""
        return self._request_handler.rfile.read(length)

    def get_memorized_lines(self):
        """The lines of the request's head as ``bytes``, the empty one included."""
        return self._request_handler.rfile.get_memorized_lines()


class ChannelFile:
    """A native connection as the file that ``http.server`` reads from and the one that it writes to."""

    closed = False

    def __init__(self, channel):
        self.read = channel.read
        self.readline = channel.readline
        self.write = channel.write
        self.fileno = channel.fileno

    def flush(self):
        """Nothing waits here."""

    def close(self):
        """The connection's end is its server's business."""
