"""The opening handshake, and the exceptions with which a handler ends it."""

import logging

from mod_pywebsocket import common
from mod_pywebsocket.handshake import base, hybi
from mod_pywebsocket.handshake.base import AbortedByUserException, HandshakeException, VersionException

__all__ = ['AbortedByUserException', 'HandshakeException', 'VersionException', 'base', 'do_handshake', 'hybi']

_LOGGER = logging.getLogger(__name__)


def do_handshake(request, dispatcher):
    """Checks the request, asks the handler and writes the answer.

    Raises :class:`HandshakeException` with a status, :class:`VersionException`, or
    :class:`AbortedByUserException`; nothing is written then.
    """
    if _LOGGER.isEnabledFor(logging.DEBUG):
        _LOGGER.debug('Opening handshake for %r with headers %r', request.uri, dict(request.headers_in))
    try:
        hybi.Handshaker(request, dispatcher).do_handshake()
    except HandshakeException as e:
        if not e.status:
            e.status = common.HTTP_STATUS_BAD_REQUEST
        raise
