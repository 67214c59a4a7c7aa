"""What frames and streams need of the native half. A host of its own puts another module into this one's place."""

from linkspan._linkspan import Channel, Utf8, mask

__all__ = ['Channel', 'Utf8', 'mask']
