"""Raises what the query names."""

import builtins


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    request.ws_stream.receive_message()
    raise getattr(builtins, request.ws_resource.partition('?')[2])('on purpose')
