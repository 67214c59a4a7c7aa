"""Clients: a comfortable one, and one that writes its own bytes."""

import os
import socket
import ssl
import struct

from websockets.sync.client import connect as websockets_connect

HEAD = ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n")
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(server, path="/echo", tls=False, **more):
    port = server.tls_port if tls else server.port
    return websockets_connect(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}", proxy=None, max_size=None,
                              ssl=trusting() if tls else None, open_timeout=30, close_timeout=30, **more)


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
        self.socket = socket.socket()
        self.socket.settimeout(4)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        if tls:
            self.socket = trusting().wrap_socket(self.socket)
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
            more = self.socket.recv(max(65536, n - len(self.unread)))
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


def ask(server, path="/", headers=(), method="GET", version="HTTP/1.1", tls=False):
    """A request by hand: status line, headers in lower case, and body."""
    with Raw(server, tls=tls, send=False) as raw:
        lines = [f"{method} {path} {version}", *headers]
        if not any(line.lower().startswith("host:") for line in headers):
            lines.append("Host: 127.0.0.1")
        if not any(line.lower().startswith("connection:") for line in headers):
            lines.append("Connection: close")
        raw.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = raw.read_head().split("\r\n")
        fields = {}
        for line in head[1:]:
            name, value = line.split(":", 1)
            name = name.lower()
            fields[name] = fields[name] + ", " + value.strip() if name in fields else value.strip()
        return int(head[0].split()[1]), fields, raw.take(int(fields.get("content-length", 0)))
