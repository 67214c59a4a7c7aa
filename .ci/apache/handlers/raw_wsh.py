"""Tries to have the bytes."""


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    for function, argument in ((request.connection.write, b'x'), (request.connection.read, 1)):
        try:
            function(argument)
        except OSError as e:
            request.ws_stream.send_message(str(e))
