"""Sends pings, and is told of what answers them."""


def web_socket_do_extra_handshake(request):
    request.heard = []
    request.on_pong_handler = lambda request, body: request.heard.append(body)


def web_socket_transfer_data(request):
    request.ws_stream.send_ping(b'asked')
    request.ws_stream.receive_message()
    request.ws_stream.send_message(repr(request.heard))
    request.ws_stream.receive_message()
