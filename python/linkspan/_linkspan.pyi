from os import PathLike
from typing import Any, Union, final

_Bytes = Union[bytes, bytearray, memoryview]
_Path = Union[str, PathLike[str]]

__all__ = [
    'Channel',
    'Front',
    'ServerTls',
    'Utf8',
    'Watch',
    '__version__',
    'gil_wait',
    'mask',
    'measure_gil_wait',
]

__version__: str

def mask(data: _Bytes, key: _Bytes, position: int = 0) -> bytes:
    """`data` XORed with `key`, over and over, beginning at `position` in the key."""

def gil_wait() -> tuple[int, float]:
    """How often a thread that was ready waited for the GIL, and how many seconds all of them together; counted
    while `measure_gil_wait(True)`."""

def measure_gil_wait(on: bool) -> None:
    """Whether `gil_wait` counts from now on; it does not to begin with."""

@final
class Utf8:
    """Checks a text piece by piece."""

    def __new__(cls) -> Utf8: ...
    def restart(self) -> None:
        """Begins another text."""
    def feed(self, data: _Bytes, end: bool = False) -> bool:
        """Takes the next piece, and whether it is the last. `False` when the text is not UTF-8."""

@final
class ServerTls:
    """Certificates of a server, and what it asks of its clients. Raises `OSError` that names a bad file."""

    def __new__(
        cls, certificate: _Path, private_key: _Path, client_ca: _Path | None = None, client_optional: bool = False
    ) -> ServerTls: ...

@final
class Channel:
    """One connection: raw bytes, and the frames of plain messages. Several threads may use it at once."""

    def __new__(cls, fd: int, tls: ServerTls | None = None) -> Channel: ...
    def read(self, length: int) -> bytes:
        """Bytes as they come: at least one, at most `length`; `b''` at the end."""
    def readline(self, limit: int = ...) -> bytes:
        """Bytes up to and with the next LF, at most `limit` of them; fewer at the end."""
    def peek(self) -> bytes:
        """What has been read and not used: the head of the request, to begin with."""
    def write(self, data: _Bytes) -> None:
        """Sends all of `data`."""
    def offer(self, data: bytes) -> bool:
        """Sends `data` if that goes without waiting and nobody else is sending. Whether it went."""
    def traffic(self) -> tuple[int, int, int, int, int, int]:
        """Bytes read and written; messages received and their bytes; messages sent and their bytes."""
    def unread(self) -> int:
        """How many bytes wait to be read; more than 16 KiB are not told apart."""
    def count_received(self, bytes: int) -> None:
        """Python code has received a message of so many bytes."""
    def count_sent(self, bytes: int) -> None:
        """Python code has sent a message of so many bytes."""
    def receive_message(self, max_bytes: int) -> str | bytes | None:
        """The next message when the next frame is a whole one; `None`, and it is left unread, when not."""
    def receive_frame(
        self, max_bytes: int, utf8: Utf8 | None, continues: bool
    ) -> tuple[int, bytes, int, int, int, int] | None:
        """The next frame if it is masked, known and in its shortest form; checked for UTF-8 as it arrives."""
    def is_cut(self) -> bool:
        """Whether a text was refused before all of its frame had come."""
    def send_frame(self, message: str | _Bytes, first: int) -> None:
        """Sends one unmasked frame: `first` is its first byte."""
    def poll_frame(self, max_bytes: int, utf8: Utf8 | None, continues: bool, reads: bool) -> bool:
        """Whether the next frame can be received without waiting; with `reads`, what has come is read first."""
    def post(self, data: _Bytes) -> bool:
        """Sends what of `data` goes without waiting; whether there is a rest, which `flush` sends."""
    def post_frame(self, message: str | _Bytes, first: int) -> bool:
        """As `post`, with the arguments of `send_frame`."""
    def flush(self) -> bool:
        """Sends what goes now of what was posted; whether something is left."""
    def watch(self) -> Watch:
        """The descriptor, for a loop of events."""
    def recv(self, length: int, flags: int = 0) -> bytes: ...
    def send(self, data: _Bytes) -> int: ...
    def sendall(self, data: _Bytes) -> None: ...
    def shutdown(self, how: int) -> None:
        """Ends a direction: 0 receiving, 1 sending, 2 both."""
    def close(self) -> None:
        """Ends the connection; threads that wait on it wake up."""
    def fileno(self) -> int: ...
    def getpeername(self) -> Any:
        """The peer's address; remembered after the end."""
    def settimeout(self, seconds: float | None) -> None: ...
    def gettimeout(self) -> float | None: ...

@final
class Watch:
    """The descriptor of a connection; it stays open as long as this object lives."""

    def fileno(self) -> int: ...

@final
class Front:
    """Listening sockets, and the connections on them whose head is complete."""

    def __new__(
        cls,
        listeners: list[int],
        tls: ServerTls | None = None,
        max_head_bytes: int = ...,
        head_seconds: float = 30.0,
    ) -> Front: ...
    def accept(self, timeout: float | None = None) -> Channel | None:
        """Waits for the next connection; `None` when the time (seconds) is up or the front is closed."""
    def is_closed(self) -> bool: ...
    def close(self) -> None:
        """Accepts no more."""
