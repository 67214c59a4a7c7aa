"""What goes wrong on a stream. Import these names from ``mod_pywebsocket.stream`` or ``.msgutil``."""


class ConnectionTerminatedException(Exception):
    """The connection ended, or can no longer be used to receive."""


class InvalidFrameException(ConnectionTerminatedException):
    """The peer sent a frame that breaks the protocol; closes with 1002."""


class MessageTooBigException(ConnectionTerminatedException):
    """The peer sends a message above the limit; closes with 1009. Of this library, not of pywebsocket."""


class BadOperationException(Exception):
    """The handler asked for what the stream cannot do now; closes with 1011."""


class UnsupportedFrameException(Exception):
    """A frame with a reserved bit or opcode; closes with 1003. The handler may receive again."""


class InvalidUTF8Exception(Exception):
    """A text message that is not UTF-8; closes with 1007."""
