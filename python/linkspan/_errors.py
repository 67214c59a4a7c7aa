"""What goes wrong for a client. All are ``linkspan.Error``; native code raises them."""

from __future__ import annotations


class Error(Exception):
    """What a client of Linkspan raises, beside ``ValueError`` and ``TypeError`` for what it cannot be asked. Its
    text is one sentence that says what happened."""

    __module__ = 'linkspan'


class ConnectError(Error, OSError):
    """The server, or the proxy before it, was not reached: the name has no address, nobody listens, the proxy
    refuses. ``errno`` is the system's number where the system refused."""

    __module__ = 'linkspan'

    def __str__(self) -> str:
        return str(self.args[1] if len(self.args) > 1 else self.strerror)


class TlsError(Error):
    """TLS failed: a certificate is not trusted or is for another name, a file of certificates is of no use."""

    __module__ = 'linkspan'


class TimedOut(Error, TimeoutError):
    """The time was up first. Nothing is lost: a message that comes later is there for the next call."""

    __module__ = 'linkspan'


class HandshakeError(Error):
    """The server answered the opening handshake, but not with a WebSocket.

    ``status``
        The HTTP status of its refusal: 403, 404, 302; ``None`` when its answer was none, or broke a rule.
    ``headers``
        The refusal's header fields, a list of pairs of ``str``.
    ``body``
        What the server had to say, ``bytes``, at most 64 KiB of it.
    """

    __module__ = 'linkspan'

    def __init__(self, sentence: str, status: int | None = None, headers: list[tuple[str, str]] | None = None,
                 body: bytes = b'') -> None:
        super().__init__(sentence, status, headers, body)
        self.status = status
        self.headers = headers or []
        self.body = body

    def __str__(self) -> str:
        return str(self.args[0])


class ConnectionClosed(Error):
    """The connection is closed, or broken, and no message is left.

    ``code``
        The server's close code; 1005 when it gave none, 1006 when the connection ended without a closing
        handshake. Where the server broke a rule: the code that told it so (1002, 1007, 1009).
    ``reason``
        The text beside the code; for a broken rule, which one.
    ``clean``
        Whether both ends have sent a close frame (RFC 6455 7.1.4).
    """

    __module__ = 'linkspan'

    def __init__(self, sentence: str, code: int = 1006, reason: str = '', clean: bool = False) -> None:
        super().__init__(sentence, code, reason, clean)
        self.code = code
        self.reason = reason
        self.clean = clean

    def __str__(self) -> str:
        return str(self.args[0])
