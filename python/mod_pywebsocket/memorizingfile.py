"""A file that remembers the lines that were read from it."""

import sys


class MemorizingFile:
    """Wraps a file; keeps the first ``max_memorized_lines`` lines that :meth:`readline` took from it.

    Everything else is the wrapped file's own, and what its other methods read is not remembered.

    >>> import io
    >>> lines = MemorizingFile(io.BytesIO(b'GET / HTTP/1.1\\r\\n\\r\\n'))
    >>> lines.readline(3), lines.readline()
    (b'GET', b' / HTTP/1.1\\r\\n')
    >>> lines.get_memorized_lines()
    [b'GET / HTTP/1.1\\r\\n']
    """

    _OWN = frozenset(('readline', 'get_memorized_lines', '_file', '_limit', '_lines', '_rest', '_OWN', '__class__'))

    def __init__(self, file_, max_memorized_lines=sys.maxsize):
        self._file = file_
        self._limit = max_memorized_lines
        self._lines = []
        # What of the current line is not handed out yet; None between lines.
        self._rest = None

    def __getattribute__(self, name):
        if name in MemorizingFile._OWN:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, '_file'), name)

    def readline(self, size=-1):
        """The next line, or at most ``size`` characters of it; the next call goes on from there."""
        if self._rest is None:
            line = self._file.readline()
            if line and len(self._lines) < self._limit:
                self._lines.append(line)
        else:
            line, self._rest = self._rest, None
        if 0 <= size < len(line):
            self._rest = line[size:]
            line = line[:size]
        return line

    def get_memorized_lines(self):
        """The list of whole lines read so far; the list itself, not a copy."""
        return self._lines
