"""One thread receives while another sends, and each looks at the flags that tell how far the close is."""

import threading
from queue import Empty, Queue

from pywebsocket3 import msgutil


def web_socket_do_extra_handshake(request):
    pass


def _reading_thread(request):
    """Messages come in one thread, answers leave in another; the flags are all that they share."""
    messages = Queue()

    def receive():
        try:
            while not request.client_terminated:
                messages.put(request.ws_stream.receive_message())
        except Exception as error:
            messages.put(error)

    threading.Thread(target=receive, daemon=True).start()
    while not request.server_terminated:
        try:
            message = messages.get(timeout=0.01)
        except Empty:
            continue
        if message is None:
            break
        if isinstance(message, Exception):
            raise message
        request.ws_stream.send_message('echo ' + message)


def _receiver(request):
    """The library's own threads."""
    sender = msgutil.MessageSender(request)
    ended = threading.Event()

    def answer(message):
        if message is None:
            ended.set()
        else:
            sender.send_nowait('echo ' + message)

    msgutil.MessageReceiver(request, answer)
    ended.wait(20)
    sender.stop()


def web_socket_transfer_data(request):
    if request.ws_resource.endswith('?receiver'):
        _receiver(request)
    else:
        _reading_thread(request)


def web_socket_passive_closing_handshake(request):
    if request.ws_close_code == 1005:
        return None, None
    return request.ws_close_code, request.ws_close_reason
