"""Does not receive."""

import threading


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    threading.Event().wait()
