from asyncio import AbstractEventLoop
from os import PathLike
from typing import Any, Union, final

_Bytes = Union[bytes, bytearray, memoryview]
_Path = Union[str, PathLike[str]]

_Frame = tuple[int, bytes, bool, int, bytes | None]

__all__ = [
    'Arrival',
    'Arrivals',
    'Channel',
    'Dial',
    'Front',
    'RawStream',
    'ServerTls',
    'Utf8',
    'WebSocket',
    '__version__',
    'frame_bytes',
    'gil_wait',
    'mask',
    'measure_gil_wait',
    'opening_request',
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
    def warnings(self) -> list[str]:
        """A sentence for each certificate that clients will not accept, because it has expired or is not valid yet."""

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
    def receive_message(self, max_bytes: int | None) -> str | bytes | None:
        """The next message when the next frame is a whole one; `None`, and it is left unread, when not."""
    def receive_frame(
        self, max_bytes: int, utf8: Utf8 | None, continues: bool
    ) -> tuple[int, bytes, int, int, int, int] | None:
        """The next frame if it is masked, known and in its shortest form; checked for UTF-8 as it arrives."""
    def is_cut(self) -> bool:
        """Whether a text was refused before all of its frame had come."""
    def send_frame(self, message: str | _Bytes, first: int) -> None:
        """Sends one unmasked frame: `first` is its first byte."""
    def read_now(self, length: int) -> bytes | None:
        """As `read`, of what has come; `None` when that is nothing."""
    def post(self, data: _Bytes) -> bool:
        """Sends what of `data` goes without waiting; whether there is a rest, which `flush` sends."""
    def post_frame(self, message: str | _Bytes, first: int) -> bool:
        """As `post`, with the arguments of `send_frame`."""
    def flush(self) -> bool:
        """Sends what goes now of what was posted; whether something is left."""
    def recv(self, length: int, flags: int = 0) -> bytes: ...
    def send(self, data: _Bytes) -> int: ...
    def sendall(self, data: _Bytes) -> None: ...
    def shutdown(self, how: int) -> None:
        """Ends a direction: 0 receiving, 1 sending, 2 both."""
    def close(self) -> None:
        """Ends the connection; threads that wait on it wake up."""
    def fileno(self) -> int: ...
    def setsockopt(self, *arguments: Any) -> Any: ...
    def getsockopt(self, *arguments: Any) -> Any: ...
    def getsockname(self) -> Any: ...
    def setblocking(self, flag: object) -> Any: ...
    @property
    def family(self) -> Any: ...
    @property
    def type(self) -> Any: ...
    @property
    def proto(self) -> Any: ...
    def getpeername(self) -> Any:
        """The peer's address; remembered after the end."""
    def settimeout(self, seconds: float | None) -> None: ...
    def gettimeout(self) -> float | None: ...

@final
class Arrivals:
    """The connections that the handlers of one asyncio loop wait on; for the loop's thread."""

    def __new__(cls, asyncio: AbstractEventLoop) -> Arrivals: ...
    def fileno(self) -> int:
        """A descriptor: readable when `go_on` has something to do."""
    def add(self, channel: Channel) -> Arrival: ...
    def go_on(self) -> None:
        """Lets everybody go on for whom something has come."""

@final
class Arrival:
    """The next frame of a connection, for one task at a time; awaited, it is its own future."""

    _asyncio_future_blocking: bool

    def frame(self, max_bytes: int | None, utf8: Utf8 | None, continues: bool) -> Arrival:
        """Awaited, it waits until `receive_frame` with these arguments would not wait, or until `end`."""
    def __await__(self) -> Arrival: ...
    def __next__(self) -> Arrival: ...
    def end(self) -> None:
        """Ends every wait."""
    def fileno(self) -> int:
        """The descriptor of the connection, open until the end."""
    def get_loop(self) -> AbstractEventLoop: ...
    def add_done_callback(self, function: Any, *, context: Any = None) -> None: ...
    def cancel(self, msg: Any = None) -> bool: ...
    def result(self) -> None: ...

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

def frame_bytes(
    opcode: int, payload: str | _Bytes, fin: bool, rsv: int, mask: bytes | None, length: int | None
) -> bytes:
    """One frame, right or wrong."""

def opening_request(url: str, key: str, options: dict[str, Any]) -> bytes:
    """The head of the request that `linkspan.connect` would send, with this key."""

@final
class Dial:
    """A client on its way to an open WebSocket, or with `raw` to a stream on which nothing was said yet."""

    def __new__(cls, url: str, options: dict[str, Any], raw: bool = False) -> Dial: ...
    def go_on(self) -> WebSocket | RawStream | None:
        """Goes as far as it can without waiting: what it was to reach, or `None`."""
    def awaits(self) -> tuple[list[tuple[int, bool, bool]], float | None]:
        """What to wait for before going on: `(fd, reading, writing)` of each, and how many seconds at the most."""
    def wait(self) -> None:
        """Waits for that. Ctrl-C works."""

@final
class WebSocket:
    """A client's open WebSocket. One thread receives, several may send.

    With `wait`, sending waits until all has left; without, the answer says whether it has, and `flush` sends the rest.
    """

    def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message, waiting for it at most `timeout` seconds."""
    def try_receive(self) -> str | bytes | None:
        """The next message if it is there."""
    def send(self, message: str | _Bytes, wait: bool = True) -> bool: ...
    def send_fragment(self, piece: str | _Bytes, end: bool, wait: bool = True) -> bool: ...
    def ping(self, payload: str | _Bytes, wait: bool = True) -> bool: ...
    def pong(self, payload: str | _Bytes, wait: bool = True) -> bool: ...
    def send_raw(self, data: _Bytes, wait: bool = True) -> bool: ...
    def flush(self, wait: bool = True) -> bool: ...
    def is_full(self) -> bool:
        """Whether so much waits that a sender should `flush` first."""
    def close(self, code: int | None, reason: str, wait: bool = True) -> bool:
        """Begins to close; whether the stream has ended."""
    def end(self) -> bool:
        """Drops what has come after `close`, and tells whether the stream has ended."""
    def abort(self) -> None:
        """Ends the connection at once."""
    def detach(self) -> RawStream: ...
    def is_detached(self) -> bool: ...
    def fileno(self) -> int: ...
    def awaits(self) -> tuple[bool, bool, float | None]:
        """What a receiver waits for: `(reading, writing, seconds at the most)`."""
    @property
    def url(self) -> str: ...
    @property
    def subprotocol(self) -> str | None: ...
    @property
    def extensions(self) -> str: ...
    @property
    def response(self) -> tuple[int, str, list[tuple[str, str]], bytes]: ...
    @property
    def ready_state(self) -> int: ...
    @property
    def buffered_amount(self) -> int: ...
    @property
    def close_info(self) -> tuple[int, str, bool, bool] | None:
        """`(code, reason, clean, whether this end began)` once the end is certain."""
    @property
    def peer(self) -> str: ...
    @property
    def peer_certificate(self) -> bytes | None: ...

@final
class RawStream:
    """A client's connection as a stream of bytes. One thread reads, several may write; `wait` as with `WebSocket`."""

    def receive(self, max_bytes: int, timeout: float | None = None, wait: bool = True) -> bytes | None:
        """Bytes as they come; `b''` at the end. Without `wait`: `None` when there are none yet."""
    def receive_frame(self, timeout: float | None = None, wait: bool = True) -> list[_Frame] | None:
        """The next frame, in a list of one; an empty list at the end. Without `wait`: `None` before it is there."""
    def receive_head(self, timeout: float | None = None, wait: bool = True) -> bytes | None:
        """An HTTP head with its empty line. Without `wait`: `None` before it is there."""
    def send(self, data: _Bytes, wait: bool = True) -> bool: ...
    def flush(self, wait: bool = True) -> bool: ...
    def end_sending(self) -> None:
        """Ends the sending half; `flush` before."""
    def abort(self) -> None:
        """Ends both halves at once."""
    def fileno(self) -> int: ...
    def awaits(self) -> tuple[bool, bool, float | None]: ...
    @property
    def peer(self) -> str: ...
