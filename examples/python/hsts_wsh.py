"""Asks browsers to use TLS only with this host from now on, for a hundred seconds."""


def web_socket_do_extra_handshake(request):
    request.extra_headers.append(('Strict-Transport-Security', 'max-age=100'))


def web_socket_transfer_data(request):
    request.ws_stream.send_message('TLS only' if request.is_https() else 'this connection is without TLS')
