"""Ends the connection instead of answering the handshake."""

from mod_pywebsocket.handshake import AbortedByUserException


def web_socket_do_extra_handshake(request):
    raise AbortedByUserException('nobody is at home')


def web_socket_transfer_data(request):
    pass
