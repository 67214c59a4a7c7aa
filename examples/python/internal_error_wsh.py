"""Fails: the client sees code 1011."""

from mod_pywebsocket.msgutil import BadOperationException


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    raise BadOperationException('this handler always fails')
