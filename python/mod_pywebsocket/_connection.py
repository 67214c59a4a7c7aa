"""The connection of our own server, as handlers and streams see it."""


class _StandaloneConnection:
    """Raw bytes of one connection: ``request.connection``."""

    def __init__(self, request_handler):
        """``request_handler`` is the ``WebSocketRequestHandler`` of the connection."""
        self._request_handler = request_handler

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
