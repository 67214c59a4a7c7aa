"""Lets only pages of some origins connect; others are answered 403.

A browser tells the origin of the page that opens a WebSocket, and any page may open one to anywhere:
a server that knows its users by their cookies must look.
"""

_WELCOME = ('http://example.com', 'http://localhost', 'http://localhost:9998')


def web_socket_do_extra_handshake(request):
    if request.ws_origin not in _WELCOME:
        raise ValueError('pages of %r are not welcome' % request.ws_origin)


def web_socket_transfer_data(request):
    request.ws_stream.send_message('Welcome, %s' % request.ws_origin)
