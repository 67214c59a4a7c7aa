"""Is told of pings and pongs, and answers none."""


def web_socket_do_extra_handshake(request):
    request.heard = []
    request.on_ping_handler = lambda request, body: request.heard.append('ping %s' % body.decode())
    request.on_pong_handler = lambda request, body: request.heard.append('pong %s' % body.decode())


def web_socket_transfer_data(request):
    request.ws_stream.send_message(request.ws_stream.receive_message() + ' behind ' + ', '.join(request.heard))
    request.ws_stream.receive_message()
