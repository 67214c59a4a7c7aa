"""Sends 20,000,000 bytes in as many messages as the query says."""


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    count = int(request.ws_resource.partition('?')[2])
    for _ in range(count):
        request.ws_stream.send_message(b'x' * (20000000 // count), binary=True)
