"""Linkspan for Python: the native engine under ``mod_pywebsocket``."""

from linkspan._linkspan import __version__

__all__ = ['__version__']
