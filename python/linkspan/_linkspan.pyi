from collections.abc import Buffer
from typing import final

__version__: str

def mask(data: Buffer, key: Buffer, position: int = 0) -> bytes:
    """`data` XORed with `key`, over and over, beginning at `position` in the key."""

@final
class Utf8:
    """Checks a text piece by piece."""

    def __new__(cls) -> Utf8: ...
    def feed(self, data: Buffer, end: bool = False) -> bool:
        """Takes the next piece, and whether it is the last. `False` when the text is not UTF-8."""
