"""Does what it must not; each is a BadOperationException."""

from mod_pywebsocket.stream import BadOperationException


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    ws_stream, wish = request.ws_stream, request.ws_resource.partition('?')[2]
    if wish == 'send':
        ws_stream.close_connection(3000, 'enough')
        try:
            ws_stream.send_message('too late')
        except BadOperationException:
            return
        raise AssertionError
    if wish == 'receive':
        assert ws_stream.receive_message() is None
        ws_stream.receive_message()
    if wish == 'text':
        ws_stream.send_message('text', binary=True)
    if wish == 'reason':
        ws_stream.close_connection(None, 'a reason')
    if wish == 'surrogate':
        ws_stream.send_message('\ud800')
    if wish == 'change':
        ws_stream.send_message('text', end=False)
        ws_stream.send_message(b'bytes', binary=True)
    if wish == 'twice':
        ws_stream.close_connection(3001)
        ws_stream.close_connection(3002)
        assert request.client_terminated and request.server_terminated
