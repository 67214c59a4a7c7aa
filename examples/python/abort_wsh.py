"""Opens, then ends the connection without a close frame: the client sees code 1006."""

from mod_pywebsocket.handshake import AbortedByUserException


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    raise AbortedByUserException('nothing to say')
