"""Requests in a set, and whoever has something to say sends it to all of them from a thread of its own."""

import threading

_crowd = set()
_lock = threading.Lock()


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    with _lock:
        _crowd.add(request)
        size = len(_crowd)
    request.ws_stream.send_message('joined %d' % size)
    try:
        while True:
            message = request.ws_stream.receive_message()
            if message is None:
                return
            with _lock:
                everybody = list(_crowd)
            if message == 'from outside':
                # A thread that serves nobody.
                thread = threading.Thread(target=_tell, args=(everybody, 'outside'))
                thread.start()
                thread.join()
                continue
            _tell(everybody, message)
    finally:
        with _lock:
            _crowd.discard(request)
            others = list(_crowd)
        _tell(others, 'left')


def _tell(requests, message):
    for request in requests:
        try:
            request.ws_stream.send_message(message)
        except Exception:
            # Gone, and its own thread says so.
            pass
