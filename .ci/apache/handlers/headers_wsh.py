"""Adds header fields to the answer."""


def web_socket_do_extra_handshake(request):
    request.extra_headers.append(('X-One', 'first'))
    request.extra_headers.extend([('X-One', 'second'), ('Set-Cookie', 'a=b; Path=/')])


def web_socket_transfer_data(request):
    request.ws_stream.receive_message()
