"""A client that says what it is told to, writes down what comes back, and puts it into words."""

import contextlib
import re
import socket

# How long anything may take before it counts as never, in seconds.
PATIENCE = 30

# Steps of a conversation beside bytes, which are sent: read a head, a frame, the rest; end the sending.
HEAD, FRAME, END, HALF = 'head', 'frame', 'end', 'half'


class Client:
    """One conversation: what was received, and how it ended."""

    def __init__(self, sock):
        self.sock = sock
        self.received = b''
        # How much of that the steps have looked at.
        self.seen = 0
        self.end = 'open'

    def follow(self, steps):
        for step in steps:
            if step == HALF:
                self._end_sending()
            elif step == HEAD:
                self._read_until(lambda new: new.find(b'\r\n\r\n') + 4 if b'\r\n\r\n' in new else 0)
            elif step == FRAME:
                self._read_until(_frame_length)
            elif step == END:
                self._read_until(lambda new: 0)
            else:
                self._send(step)
        self.sock.close()

    def _send(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # they are seen when reading
            self.sock.sendall(data)

    def _end_sending(self):
        with contextlib.suppress(OSError):  # the server has ended it already
            self.sock.shutdown(socket.SHUT_WR)

    def _read_until(self, length_of):
        while self.end == 'open':
            length = length_of(self.received[self.seen:])
            if length:
                self.seen += length
                return
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                self.end = 'reset'
                return
            except socket.timeout:
                self.end = 'silence'
                return
            except OSError as e:  # of TLS
                self.end = type(e).__name__
                return
            if not data:
                self.end = 'end'
            self.received += data


def _frame_length(data):
    """The length of the first frame, or 0 when it is not there whole."""
    if len(data) < 2:
        return 0
    size, extended = data[1] & 0x7f, {126: 2, 127: 8}.get(data[1] & 0x7f, 0)
    if len(data) < 2 + extended:
        return 0
    if extended:
        size = int.from_bytes(data[2:2 + extended], 'big')
    whole = 2 + extended + size
    return whole if len(data) >= whole else 0


# --- in words ------------------------------------------------------------------

_OPCODES = {0: 'more', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong'}


def in_words(received):
    """What a server said, as short text. Equal texts are equal bytes, up to a length of 1000 bytes a frame."""
    words, frames = [], False
    while received:
        if re.match(rb'HTTP/1\.[01] 101 ', received) and b'\r\n\r\n' in received:
            answer, _, received = received.partition(b'\r\n\r\n')
            lines = answer.decode('latin-1').split('\r\n')
            usual = ('Upgrade: websocket', 'Connection: Upgrade')
            words.append(' '.join([lines[0].split()[1]] + ['[%s]' % line for line in lines[1:]
                                                           if line not in usual and 'Accept: ' not in line]))
            frames = True
        elif frames and _frame_length(received):
            length = _frame_length(received)
            words.append(_frame_in_words(received[:length]))
            received = received[length:]
        else:
            words += [repr(line)[1:] for line in received.split(b'\n')]
            received = b''
    return words


def _frame_in_words(frame):
    extended = {126: 2, 127: 8}.get(frame[1] & 0x7f, 0)
    payload = frame[2 + extended:]
    opcode = frame[0] & 0xf
    name = _OPCODES.get(opcode, 'opcode %d' % opcode)
    flags = ''.join(word for bit, word in ((0x40, ' RSV1'), (0x20, ' RSV2'), (0x10, ' RSV3')) if frame[0] & bit)
    if not frame[0] & 0x80:
        flags += ' unfinished'
    if frame[1] & 0x80:
        flags += ' masked'
    if opcode == 8 and len(payload) >= 2 and not flags:
        return 'close %d%s' % (int.from_bytes(payload[:2], 'big'),
                               ' ' + repr(payload[2:])[1:] if len(payload) > 2 else '')
    if opcode == 8 and not payload and not flags:
        return 'close'
    return '%s%s %s' % (name, flags, repr(payload)[1:] if len(payload) <= 1000 else _digest(payload))


def _digest(payload):
    import hashlib
    return '%d bytes %s' % (len(payload), hashlib.sha256(payload).hexdigest()[:12])
