"""Clients: a comfortable one, `connect`, and one that writes its own bytes, `Raw`."""

import contextlib
import functools
import os
import socket
import ssl
import struct
import time

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.uri import parse_uri

HEAD = ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n")
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@functools.cache
def trusting(*protocols):
    """One context for all: to make one takes longer than a handshake."""
    # Not the default context, which reads the system's certificates every time.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class connect:
    """A WebSocket on the protocol of Python `websockets`, used by one thread: two may not share a TLS socket before
    Python 3.13."""

    def __init__(self, server, path="/echo", tls=False, compression="deflate", subprotocols=None, origin=None,
                 additional_headers=()):
        port = server.tls_port if tls else server.port
        self.protocol = ClientProtocol(parse_uri(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}"), origin=origin,
                                       extensions=[ClientPerMessageDeflateFactory()] if compression else None,
                                       subprotocols=subprotocols, max_size=None)
        self.socket = stream(port, tls)
        request = self.protocol.connect()
        request.headers.update(additional_headers)
        self.protocol.send_request(request)
        self.parts, self.messages, self.response = [], [], None
        self.pump(30, lambda: self.response)
        if self.protocol.handshake_exc:
            self.socket.close()
            raise self.protocol.handshake_exc

    def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)
            else:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)

    def pump(self, timeout, is_done):
        """Reads until it is done, or the stream has ended."""
        self.flush()
        end = time.monotonic() + timeout
        while not is_done() and self.protocol.state is not self.protocol.state.CLOSED:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            for event in self.protocol.events_received():
                if self.response is None:
                    self.response = event
                elif event.opcode in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
                    self.parts.append(event)
                    if event.fin:
                        whole = b"".join(part.data for part in self.parts)
                        self.messages.append(whole.decode() if self.parts[0].opcode is Opcode.TEXT else whole)
                        self.parts = []
            self.flush()

    @property
    def subprotocol(self):
        return self.protocol.subprotocol

    @property
    def close_code(self):
        return self.protocol.close_code

    def send(self, message):
        self.socket.settimeout(30)
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.flush()

    def recv(self, timeout=30):
        self.pump(timeout, lambda: self.messages)
        if not self.messages:
            raise self.protocol.close_exc
        return self.messages.pop(0)

    def close(self):
        if self.protocol.state is self.protocol.state.OPEN:
            self.protocol.send_close(1000)
            with contextlib.suppress(OSError):
                self.pump(30, lambda: False)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def stream(port, tls, receive_buffer=None):
    one = socket.socket()
    one.settimeout(30)
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.connect(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return trusting().wrap_socket(one) if tls else one


def frame(opcode, payload=b"", fin=True, mask=None):
    """A client's frame."""
    mask = os.urandom(4) if mask is None else mask
    n = len(payload)
    length = bytes([n | 128]) if n < 126 else b"\xfe" + struct.pack("!H", n) if n < 65536 else b"\xff" + struct.pack("!Q", n)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask != b"\0\0\0\0" else payload
    return bytes([opcode | (128 if fin else 0)]) + length + mask + masked


def closing(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Raw:
    """A stream on which a request, and then frames, are written by hand."""

    def __init__(self, server, path="/echo", tls=False, more="", behind=b"", send=True, receive_buffer=None):
        port = server.tls_port if tls else server.port
        self.socket = stream(port, tls, receive_buffer)
        self.unread = b""
        self.head = None
        if send:
            self.socket.sendall(HEAD.format(path=path, port=port, more=more).encode() + behind)
            self.head = self.read_head()

    def read_head(self):
        while b"\r\n\r\n" not in self.unread:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(self.unread)
            self.unread += more
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        return head.decode()

    def send(self, data):
        self.socket.sendall(data)

    def take(self, n):
        while len(self.unread) < n:
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError("the server has ended the stream")
            self.unread += more
        taken, self.unread = self.unread[:n], self.unread[n:]
        return taken

    def receive(self):
        """A server's frame: opcode and payload."""
        first, length = self.take(2)
        if length == 126:
            length, = struct.unpack("!H", self.take(2))
        elif length == 127:
            length, = struct.unpack("!Q", self.take(8))
        return first & 15, self.take(length)

    def is_at_end(self):
        """Whether the server has ended the stream."""
        try:
            return not self.unread and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def end(self):
        """Ends this half of the stream, without a word in TLS."""
        # A TLS socket's own shutdown would read no TLS afterwards.
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def closed_with(raw):
    """The code of the close frame that comes, whatever comes before."""
    while True:
        opcode, payload = raw.receive()
        if opcode == CLOSE:
            return struct.unpack("!H", payload[:2])[0] if payload else 1005


def ask(server, path="/", headers=(), method="GET", version="HTTP/1.1", tls=False, body=""):
    """A request by hand: status line, headers in lower case, and body."""
    with Raw(server, tls=tls, send=False) as raw:
        lines = [f"{method} {path} {version}", *headers]
        if not any(line.lower().startswith("host:") for line in headers):
            lines.append("Host: 127.0.0.1")
        if not any(line.lower().startswith("connection:") for line in headers):
            lines.append("Connection: close")
        raw.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1"))
        head = raw.read_head().split("\r\n")
        fields = {}
        for line in head[1:]:
            name, value = line.split(":", 1)
            name = name.lower()
            fields[name] = fields[name] + ", " + value.strip() if name in fields else value.strip()
        status = int(head[0].split()[1])
        if "transfer-encoding" in fields:
            # In chunks, until the end: good enough to look for words in it.
            with contextlib.suppress(EOFError):
                raw.take(1 << 30)
            return status, fields, raw.unread
        return status, fields, raw.take(int(fields.get("content-length", 0)))
