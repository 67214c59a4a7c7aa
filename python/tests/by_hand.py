"""Servers that are written by hand, a connection at a time, for clients that are to be tested."""

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading

from conftest import PATIENCE, Client

GOOD = (b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
        b'Sec-WebSocket-Accept: %s\r\n%s\r\n')


class Peer(Client):
    """The server's end of a connection."""

    def upgrade(self, extra=b''):
        """Answers the opening handshake well; the request's head."""
        request = self.read_head()
        key, = [line.split(b': ')[1] for line in request.split(b'\r\n') if line.startswith(b'Sec-WebSocket-Key: ')]
        accept = base64.b64encode(hashlib.sha1(key + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest())
        self.send(GOOD % (accept, extra))
        return request

    def read_frame(self):
        """``(first byte, payload)`` of a masked frame, or ``None`` at the end of the stream."""
        header = self.read_header()
        if header is None:
            return None
        first, is_masked, length = header
        assert is_masked, 'a client masks'
        key = self.read(4)
        payload = self.read(length)
        # As one number: some payloads are long.
        keys = (key * (len(payload) // 4 + 1))[:len(payload)]
        return first, (int.from_bytes(payload, 'big') ^ int.from_bytes(keys, 'big')).to_bytes(len(payload), 'big')

    def close(self, code=1000):
        """The whole closing handshake, begun here."""
        self.send(b'\x88\x02' + struct.pack('!H', code))
        while True:
            frame = self.read_frame()
            if frame is None or frame[0] == 0x88:
                return frame


@contextlib.contextmanager
def peer(*handlers, context=None, host='127.0.0.1'):
    """A port of this machine: the first connection is the first handler's, and so on; each gets a :class:`Peer`.
    What goes wrong in a handler fails the test."""
    failed = []

    def serve():
        for handler in handlers:
            try:
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(PATIENCE)
                    if context is not None:
                        sock = context.wrap_socket(sock, server_side=True)
                    with sock:
                        handler(Peer(sock))
            except ssl.SSLError:
                # What the client thinks of that is the test's matter.
                pass
            except BaseException as error:
                failed.append(error)

    with socket.create_server((host, 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(PATIENCE * 2)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


@contextlib.contextmanager
def hanging(greeting=b''):
    """A port that accepts, says so much and nothing more, until the block ends."""
    done = threading.Event()

    def wait(client):
        client.send(greeting)
        done.wait(PATIENCE)

    with peer(wait) as port:
        try:
            yield port
        finally:
            done.set()


def tunnel(head_end=b'\r\n\r\n', answer=b'HTTP/1.1 200 Connected\r\n\r\n', requests=None):
    """A handler that is an HTTP proxy for one connection."""

    def handler(client):
        request = client.read_head()
        if requests is not None:
            requests.append(request)
        client.send(answer)
        if b' 200 ' not in answer:
            return
        host, _, port = request.split()[1].decode().rpartition(':')
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as server:
            back = threading.Thread(target=pump, args=(server, client.sock))
            back.start()
            server.sendall(client.buffer)
            pump(client.sock, server)
            back.join(PATIENCE)

    return handler


def pump(source, drain):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            drain.sendall(data)
        drain.shutdown(socket.SHUT_WR)
    except OSError:
        pass
