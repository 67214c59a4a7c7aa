"""The names of ``_native`` without native code, for hosts whose connections are not our own server's.

Such a host masks and checks by itself what it sends and receives; here are frames that handlers make by hand.
"""

import codecs

__all__ = ['Channel', 'Utf8', 'mask']


class Channel:
    """No connection is one of these."""


class Utf8:
    """Checks a text piece by piece."""

    def __init__(self):
        self.restart()

    def restart(self):
        """Begins another text."""
        self._decoder = codecs.getincrementaldecoder('utf-8')()

    def feed(self, data, end=False):
        """Takes the next piece, and whether it is the last. ``False`` when the text is not UTF-8."""
        try:
            self._decoder.decode(data, end)
        except UnicodeDecodeError:
            return False
        return True


def mask(data, key, position=0):
    """``data`` XORed with ``key``, over and over, beginning at ``position`` in the key."""
    length = len(data)
    if not len(key):
        raise ValueError('a masking key has no bytes')
    keys = (bytes(key) * (length // len(key) + 2))[position % len(key):][:length]
    return (int.from_bytes(data, 'little') ^ int.from_bytes(keys, 'little')).to_bytes(length, 'little')
