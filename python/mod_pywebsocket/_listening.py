"""Sockets that listen: one for each address of the server's host."""

import errno
import socket

# What whoever starts the server can do about it.
_ADVICE = {
    errno.EADDRINUSE: 'end the program that listens there, or choose another port with --port',
    errno.EADDRNOTAVAIL: 'name an address of this machine with --server-host',
    errno.EACCES: 'ports below 1024 are the administrator\'s; choose another with --port',
}


def create(host, port, say):
    """Sockets and what they are for, as ``getaddrinfo`` writes it; those that cannot be made are left out.

    ``say`` is called as ``Logger.info`` is, here and below. :exc:`OSError` when the host has no address.
    """
    if host:
        try:
            infos = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        except socket.gaierror as e:
            raise OSError(_complaint(host, port, e)) from e
    else:
        # Every address. Where the system lets it, the first takes the clients of the second along.
        infos = [(family, socket.SOCK_STREAM, 0, '', '') for family in (socket.AF_INET6, socket.AF_INET)]
    sockets = []
    for info in infos:
        try:
            sockets.append((socket.socket(info[0], info[1], info[2]), info))
        except OSError as e:
            say('Cannot make a socket for %r: %s', info, e)
    return sockets


def inherit(fd):
    """The socket with this descriptor, which listens already, as :func:`create` gives them."""
    try:
        socket_ = socket.socket(fileno=fd)
        if not socket_.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            socket_.detach()
            raise OSError(errno.EINVAL, 'it does not listen')
    except (OSError, OverflowError, ValueError) as e:
        raise OSError('cannot listen on the descriptor %d: %s; --listen-fd takes the number of a listening socket that '
                      'whoever starts the server has opened, 3 of systemd' % (fd, getattr(e, 'strerror', None) or e)) from e
    socket_.set_inheritable(False)
    name = socket_.getsockname()
    return [(socket_, (socket_.family, socket_.type, socket_.proto, '', name))]


def bind(sockets, host, port, reuse_address, say):
    """Binds them; those that cannot be bound go from the list. The port: the first one's when it was 0.

    Raises :exc:`OSError` when none is left.
    """
    why = None
    for item in sockets[:]:
        socket_, info = item
        try:
            if reuse_address:
                socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            socket_.bind((host, port))
        except (OSError, OverflowError) as e:
            why = e
            _drop(sockets, item, 'bind', e, say)
            continue
        if port == 0:
            # The others follow the first.
            port = socket_.getsockname()[1]
    if not sockets:
        raise OSError(_complaint(host, port, why))
    return port


def listen(sockets, backlog, host, port, say):
    """Listens on them; those on which that fails go from the list. :exc:`OSError` when none is left."""
    why = None
    for item in sockets[:]:
        try:
            item[0].listen(backlog)
        except OSError as e:
            why = e
            _drop(sockets, item, 'listen', e, say)
    if not sockets:
        raise OSError(_complaint(host, port, why))


def _drop(sockets, item, verb, error, say):
    say('Cannot %s for %r: %s', verb, item[1], error)
    sockets.remove(item)
    item[0].close()


def _complaint(host, port, error):
    why = 'the host has no address' if error is None else getattr(error, 'strerror', None) or str(error)
    advice = _ADVICE.get(getattr(error, 'errno', None))
    return 'cannot listen on %s, port %s: %s%s' % (host or 'any address', port, why, '; ' + advice if advice else '')
