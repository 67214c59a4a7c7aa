"""Sends in every way that there is."""

from mod_pywebsocket import msgutil


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    ws_stream = request.ws_stream
    ws_stream.send_message('text')
    ws_stream.send_message(b'bytes', binary=True)
    ws_stream.send_message(bytearray(b'array'), binary=True)
    ws_stream.send_message(memoryview(b'view'), binary=True)
    ws_stream.send_message('a text ', end=False)
    ws_stream.send_message('in pieces ', end=False)
    ws_stream.send_ping(b'between')
    ws_stream.send_message('')
    ws_stream.send_message(b'one ', end=False, binary=True)
    ws_stream.send_message(b'more', end=True, binary=True)
    msgutil.send_message(request, 'by the older name')
    msgutil.send_ping(request, 'ping')
    assert msgutil.receive_message(request) is None
    assert ws_stream.get_last_received_opcode() == 8
