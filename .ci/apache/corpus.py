"""The engine's own `.wire` scripts (core/tests/common/wire.rs tells how they read), played by a client on a server
that echoes: all of a server's that need no other application, and no configuration."""

import contextlib
import re
import struct
import zlib

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, frame
from servers import ROOT

# What an echo server on a stream never sees, or is not asked.
PASSED_OVER = {"timer", "ask", "shutdown"}
PIECE = re.compile(r'("(?:[^"\\]|\\.)*"|[0-9a-fA-F]+)(?:\*(\d+))?\s*')
KEY = b"\x37\xfa\x21\x3d"
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", '"': '"', "\\": "\\"}


class Case:
    """One connection: what is sent, the messages that come back, and the control frames between them."""

    def __init__(self, name):
        self.name = name
        self.is_closed = self.is_ended = False
        self.can_be_played = True
        self.extensions = None
        self.sent, self.messages, self.controls = b"", [], []

    def read(self, line):
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word == "role":
            self.can_be_played = rest == "server"
        elif not self.can_be_played:
            return
        elif word == "agreed" and rest.startswith("permessage-deflate"):
            self.extensions = rest
        elif word == "in" and not self.is_ended:
            self.sent += bytes_of(rest)
        elif word == "end":
            self.is_ended = True
        elif word == "out" and rest.startswith("fault"):
            self.controls.append((CLOSE, int(rest.split()[1])))
        elif word == "out":
            out = bytes_of(rest)
            self.controls.append((out[0] & 15, out[2:]))
        elif word == "event":
            kind, _, data = rest.partition(" ")
            if kind in ("text", "binary"):
                self.messages.append((TEXT if kind == "text" else BINARY, bytes_of(data)))
            self.is_closed |= kind == "closed"
        elif word not in PASSED_OVER:
            self.can_be_played = False


def corpus():
    """Every case that can be played."""
    cases = []
    for file in sorted((ROOT / "core/tests/corpus").glob("*.wire")):
        for line in map(str.strip, file.read_text().splitlines()):
            if line.startswith("case "):
                cases.append(Case(f"{file.stem}: {line[5:]}"))
            elif line and not line.startswith("#"):
                cases[-1].read(line)
    return [case for case in cases if case.can_be_played]


def bytes_of(pieces):
    """Hex, quoted text, repetitions, and frames."""
    word, _, rest = pieces.partition(" ")
    if word in ("masked", "plain"):
        first, _, payload = rest.strip().partition(" ")
        payload = bytes_of(payload.strip())
        made = bytes.fromhex(first) + frame(CONTINUATION, payload, mask=KEY)[1:]
        if word == "masked":
            return made
        return made[:1] + bytes([made[1] & 127]) + made[2:-4 - len(payload)] + payload
    made, at = b"", 0
    while at < len(pieces):
        piece = PIECE.match(pieces, at)
        assert piece, pieces
        made += unquote(piece[1]) * int(piece[2] or 1)
        at = piece.end()
    return made


def unquote(piece):
    if piece[0] != '"':
        return bytes.fromhex(piece)
    out = b""
    for hexadecimal, escaped, plain in re.findall(r"\\x([0-9a-f]{2})|\\(.)|([^\\]+)", piece[1:-1]):
        out += bytes.fromhex(hexadecimal) if hexadecimal else (ESCAPES[escaped] if escaped else plain).encode()
    return out


def ends_between_frames(data):
    while len(data) >= 2:
        length, head = data[1] & 127, 6 if data[1] & 128 else 2
        if length > 125:
            more = 2 if length == 126 else 8
            if len(data) < 2 + more:
                return False
            length, head = int.from_bytes(data[2:2 + more], "big"), head + more
        if len(data) < head + length:
            return False
        data = data[head + length:]
    return not data


class Listener:
    """Takes a server's frames apart: messages, and control frames."""

    def __init__(self, raw, extensions):
        self.raw, self.messages, self.controls = raw, [], []
        self.forgets = "server_no_context_takeover" in (extensions or "")
        self.inflater = zlib.decompressobj(-15)

    def take(self):
        first, length = self.raw.take(2)
        for code, size in ((126, 2), (127, 8)):
            if length == code:
                length = int.from_bytes(self.raw.take(size), "big")
                break
        payload, opcode = self.raw.take(length), first & 15
        if opcode in (CLOSE, PING, PONG):
            self.controls.append((opcode, payload))
        else:
            # The echo is one frame a message.
            assert first & 128 and opcode != CONTINUATION, first
            self.messages.append((opcode, self.inflate(payload) if first & 64 else payload))
        return opcode, payload

    def inflate(self, payload):
        whole = self.inflater.decompress(payload + b"\0\0\xff\xff")
        if self.forgets:
            self.inflater = zlib.decompressobj(-15)
        return whole


def play(case, server, tls):
    """What was otherwise; None when all was as the script says."""
    more = f"Sec-WebSocket-Extensions: {case.extensions}\r\n" if case.extensions else ""
    with Raw(server, tls=tls, more=more) as raw:
        if case.extensions and case.extensions not in raw.head:
            return f"{case.extensions} is not agreed to: {raw.head}"
        heard = Listener(raw, case.extensions)
        with contextlib.suppress(ConnectionError):
            raw.send(case.sent)
        controls = list(case.controls)
        if not case.is_closed and not case.is_ended and ends_between_frames(case.sent):
            raw.send(frame(PING, b"the last"))
            controls.append((PONG, b"the last"))
        if case.is_ended:
            raw.end()
        try:
            while len(heard.messages) < len(case.messages) or len(heard.controls) < len(controls):
                heard.take()
            if case.is_closed and not raw.is_at_end():
                return "the stream goes on behind its end"
        except EOFError:
            heard.controls.append("the end")
        fits = [as_wanted(*pair) for pair in zip(heard.controls, controls)]
        if heard.messages != case.messages or not all(fits) or len(heard.controls) != len(controls):
            return f"{heard.messages} {heard.controls} came and not {case.messages} {controls}"
    return None


def as_wanted(got, wanted):
    """A fault's own sentence is not compared."""
    is_fault = got[0] == wanted[0] == CLOSE and isinstance(wanted[1], int)
    return got[1][:2] == struct.pack("!H", wanted[1]) if is_fault else got == wanted
