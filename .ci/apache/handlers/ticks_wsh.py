"""Says something now and then for four seconds, and is silent then."""

import time


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    for number in range(8):
        request.ws_stream.send_message(str(number))
        time.sleep(0.5)
    request.ws_stream.receive_message()
