"""Takes the time at which a write returns for a sign that the client reads."""

_MEBIBYTE = b'x' * (1 << 20)
_counts = {}


def web_socket_do_extra_handshake(request):
    request.ws_extension_processors = []


def web_socket_transfer_data(request):
    name = request.ws_resource.partition('?')[2]
    if name.startswith('count-of-'):
        while True:
            if request.ws_stream.receive_message() is None:
                return
            request.ws_stream.send_message('%d' % _counts.get(name[9:], 0))
    for number in range(64):
        request.ws_stream.send_message(_MEBIBYTE, binary=True)
        _counts[name] = number + 1
