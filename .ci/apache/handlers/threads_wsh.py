"""Several threads send, and one receives."""

import threading


def web_socket_do_extra_handshake(request):
    request.mine = threading.local()


def web_socket_transfer_data(request):
    assert request.ws_stream.receive_message() == 'go'
    threads = [threading.Thread(target=_say, args=[request]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert request.ws_stream.receive_message() is None


def _say(request):
    for _ in range(50):
        with request.ws_stream._sending:
            request.ws_stream.send_message('half ', end=False)
            request.ws_stream.send_message('of it')
