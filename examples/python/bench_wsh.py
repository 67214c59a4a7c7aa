"""Sends messages at a pace: the text "SECONDS COUNT MESSAGE" asks for COUNT times MESSAGE, one every SECONDS.

"0 1000 x" is as fast as it goes, "0.5 10 tick" takes five seconds. Then the server closes.
"""

import time


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    wish = request.ws_stream.receive_message()
    if wish is None:
        return
    seconds, count, message = wish.split(' ')
    seconds, count = float(seconds), int(count)
    for _ in range(count):
        request.ws_stream.send_message(message)
        time.sleep(seconds)
