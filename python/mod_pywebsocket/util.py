"""What the other modules share: masking, raw deflate, logging, interpreter lines."""

import functools
import logging
import os
import struct
import zlib

from mod_pywebsocket import _native


def prepend_message_to_exception(message, exc):
    """Puts ``message`` before the text of ``exc``, which stays the same object."""
    exc.args = (message + str(exc),)


def get_script_interp(script_path, cygwin_path=None):
    """The interpreter line of a script without its ``#!``, or ``None`` when it has none.

    With ``cygwin_path`` an interpreter with a path is looked up in that directory instead of its own.
    """
    with open(script_path, encoding='latin-1') as script:
        line = script.readline()
    if not line.startswith('#!'):
        return None
    interpreter = line[2:].rstrip('\n')
    program, blank, rest = interpreter.partition(' ')
    if cygwin_path is None or '/' not in program:
        return interpreter
    return os.path.join(cygwin_path, program.rpartition('/')[2]) + blank + rest


def hexify(s):
    """Bytes as ``'xx xx'``. ``TypeError`` for a ``str``.

    >>> hexify(b'Hi!')
    '48 69 21'
    """
    if not isinstance(s, (bytes, bytearray, memoryview)):
        raise TypeError('hexify needs bytes, not %s' % type(s).__name__)
    return bytes(s).hex(' ')


def get_class_logger(o):
    """The logger named after the class of ``o``: ``module.Class``."""
    return _logger_of(o.__class__)


# Each connection asks for some, always the same; `logging` makes them once and takes a lock to find them.
@functools.lru_cache(maxsize=64)
def _logger_of(class_):
    return logging.getLogger('%s.%s' % (class_.__module__, class_.__name__))


def pack_byte(b):
    """One byte of this value; ``struct.error`` when it is not one."""
    return struct.pack('!B', b)


class NoopMasker:
    """Masks nothing."""

    def mask(self, s):
        """``s`` itself."""
        return s


class RepeatedXorMasker:
    """XORs with a key, over and over; a call goes on in the key where the one before stopped.

    The same again unmasks (RFC 6455 5.3).

    >>> masked = RepeatedXorMasker(b'\\x01\\x02\\x03\\x04').mask(b'Hello')
    >>> masked
    b'Igohn'
    >>> RepeatedXorMasker(b'\\x01\\x02\\x03\\x04').mask(masked)
    b'Hello'
    """

    def __init__(self, masking_key):
        self._key = masking_key
        self._position = 0

    def mask(self, s):
        """``s``, any bytes-like object, masked: new ``bytes``."""
        masked = _native.mask(s, self._key, self._position)
        self._position = (self._position + len(masked)) % len(self._key)
        return masked

    _mask_using_array = mask


class _Deflater:
    """Raw deflate at zlib's default level."""

    def __init__(self, window_bits):
        self._logger = get_class_logger(self)
        # zlib cannot make a raw stream with a window of 256 bytes; one of 512 is what it uses instead.
        self._compress = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -max(window_bits, 9))

    def compress(self, bytes):
        """Takes input; gives what output there is yet."""
        return self._compress.compress(bytes)

    def compress_and_flush(self, bytes):
        """All output for the input so far, up to a byte boundary."""
        return self._compress.compress(bytes) + self._compress.flush(zlib.Z_SYNC_FLUSH)

    def compress_and_finish(self, bytes):
        """All output, and the end of the stream."""
        return self._compress.compress(bytes) + self._compress.flush(zlib.Z_FINISH)


class _Inflater:
    """Raw inflate, over the end of one deflate stream into the next."""

    def __init__(self, window_bits):
        self._logger = get_class_logger(self)
        self._window_bits = window_bits
        self._unconsumed = b''
        self.reset()

    def append(self, data):
        """Adds compressed input."""
        self._unconsumed += data

    def decompress(self, size):
        """Up to ``size`` bytes of output, or with -1 all that the input gives."""
        if size != -1 and size <= 0:
            raise Exception('size must be -1 or positive, not %d' % size)
        parts = []
        missing = size
        while True:
            part = self._decompress.decompress(self._unconsumed, max(missing, 0))
            parts.append(part)
            if self._decompress.unused_data:
                # This stream has ended (BFINAL); what follows is another.
                self._unconsumed = self._decompress.unused_data
                self.reset()
            else:
                self._unconsumed = self._decompress.unconsumed_tail
                if not self._unconsumed:
                    break
            if size != -1:
                missing -= len(part)
                if missing == 0:
                    break
        return b''.join(parts)

    def reset(self):
        """Forgets the window; input that waits is kept."""
        self._decompress = zlib.decompressobj(-self._window_bits)


class _RFC1979Deflater:
    """Compresses messages as RFC 7692 7.2.1 says: a byte boundary at the end, its marker removed.

    >>> hexify(_RFC1979Deflater(15, no_context_takeover=True).filter(b'Hello'))
    'f2 48 cd c9 c9 07 00'
    """

    def __init__(self, window_bits, no_context_takeover):
        self._window_bits = zlib.MAX_WBITS if window_bits is None else window_bits
        self._no_context_takeover = no_context_takeover
        self._deflater = None

    def filter(self, bytes, end=True, bfinal=False):
        """One message or fragment, compressed. Only the ``end`` of a message loses its 00 00 ff ff.

        With ``bfinal`` the stream is finished, and a byte 00 follows in place of that marker.
        """
        if self._deflater is None:
            self._deflater = _Deflater(self._window_bits)
        if bfinal:
            compressed = self._deflater.compress_and_finish(bytes) + b'\x00'
            self._deflater = None
            return compressed
        compressed = self._deflater.compress_and_flush(bytes)
        if end:
            compressed = compressed[:-4]
            if self._no_context_takeover:
                self._deflater = None
        return compressed


class _RFC1979Inflater:
    """Inflates messages as RFC 7692 7.2.2 says.

    >>> _RFC1979Inflater().filter(b'\\xf2\\x48\\xcd\\xc9\\xc9\\x07\\x00')
    b'Hello'
    """

    def __init__(self, window_bits=zlib.MAX_WBITS):
        self._window_bits = window_bits
        # Made for the first message: it is seven kilobytes, and a connection may stay silent.
        self._inflater = None

    def filter(self, bytes, max_bytes=-1):
        """One whole compressed message, inflated, or what of it is within ``max_bytes``.

        Raises ``zlib.error``.
        """
        if self._inflater is None:
            self._inflater = _Inflater(self._window_bits)
        self._inflater.append(bytes + b'\x00\x00\xff\xff')
        return self._inflater.decompress(max_bytes)


class DeflateSocket:
    """A socket whose bytes are one deflate stream each way."""

    _RECEIVE_BYTES = 4096

    def __init__(self, socket):
        self._socket = socket
        self._deflater = _Deflater(zlib.MAX_WBITS)
        self._inflater = _Inflater(zlib.MAX_WBITS)

    def recv(self, size):
        """Up to ``size`` inflated bytes; ``b''`` at the end."""
        data = self._inflater.decompress(size)
        while not data:
            received = self._socket.recv(self._RECEIVE_BYTES)
            if not received:
                return b''
            self._inflater.append(received)
            data = self._inflater.decompress(size)
        return data

    def sendall(self, bytes):
        """Sends all of it."""
        self.send(bytes)

    def send(self, bytes):
        """Sends all of it; how many bytes that was before compressing."""
        self._socket.sendall(self._deflater.compress_and_flush(bytes))
        return len(bytes)
