"""Sends many messages quickly: ``/bench?1000,125`` sends 1000 binary messages of 125 bytes."""


def web_socket_do_extra_handshake(request):
    count, _, size = request.ws_resource.partition('?')[2].partition(',')
    request.bench = int(count), int(size)


def web_socket_transfer_data(request):
    count, size = request.bench
    message = b'*' * size
    for _ in range(count):
        request.ws_stream.send_message(message, binary=True)
