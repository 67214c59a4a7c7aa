"""A client that says any bytes: heads and frames, good or not, and what comes back."""

import struct

KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='


def head(resource='/echo', method='GET', protocol='HTTP/1.1', drop=(), more=(), **headers):
    """A good request's head; ``drop`` takes headers out, ``headers`` (with _ for -) replace or add them, ``more`` are
    whole lines behind them."""
    fields = {
        'Host': 'localhost',
        'Upgrade': 'websocket',
        'Connection': 'Upgrade',
        'Sec-WebSocket-Key': KEY,
        'Sec-WebSocket-Version': '13',
    }
    for name in drop:
        del fields[name]
    for name, value in headers.items():
        fields[name.replace('_', '-')] = value
    lines = ['%s %s %s' % (method, resource, protocol)]
    lines += ['%s: %s' % item for item in fields.items()]
    lines += more
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')


def masked(first, payload=b'', length=None):
    """A client's frame: its first byte, and a payload (of which less may be sent than announced)."""
    length = len(payload) if length is None else length
    if length < 126:
        header = struct.pack('!BB', first, 0x80 | length)
    elif length < 1 << 16:
        header = struct.pack('!BBH', first, 0xfe, length)
    else:
        header = struct.pack('!BBQ', first, 0xff, length)
    key = b'\x11\x22\x33\x44'
    return header + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def text(message, fin=True):
    return masked(0x81 if fin else 0x01, message.encode('utf-8'))


def close(code=None, reason=''):
    return masked(0x88, b'' if code is None else struct.pack('!H', code) + reason.encode('utf-8'))


class Client:
    """A connection on which anything can be said."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b''

    def send(self, data):
        self.sock.sendall(data)

    def read(self, length):
        """Exactly so many bytes, or as many as there were at the end."""
        while len(self.buffer) < length:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                break
            if not data:
                break
            self.buffer += data
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def read_all(self):
        return self.read(1 << 40)

    def read_head(self):
        """The head of an answer, without the empty line."""
        while b'\r\n\r\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                break
            self.buffer += data
        answer, _, self.buffer = self.buffer.partition(b'\r\n\r\n')
        return answer

    def read_header(self):
        """``(first byte, whether it is masked, the payload's length)``, or ``None`` at the end of the stream."""
        start = self.read(2)
        if len(start) < 2:
            return None
        first, second = start
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack('!H', self.read(2))
        elif length == 127:
            length, = struct.unpack('!Q', self.read(8))
        return first, second >= 0x80, length

    def read_frame(self):
        """``(first byte, payload)``, or ``None`` at the end of the stream."""
        header = self.read_header()
        if header is None:
            return None
        first, is_masked, length = header
        assert not is_masked, 'a server does not mask'
        return first, self.read(length)

    def read_close(self):
        """The code of the close frame that must come now; ``None`` when it has none, 1006 when none comes."""
        frame = self.read_frame()
        if frame is None:
            return 1006
        first, payload = frame
        assert first == 0x88, frame
        return struct.unpack('!H', payload[:2])[0] if payload else None

    def upgrade(self, resource='/echo', **headers):
        """The opening handshake; the answer's head."""
        self.send(head(resource, **headers))
        answer = self.read_head()
        assert answer.startswith(b'HTTP/1.1 101 '), answer
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
