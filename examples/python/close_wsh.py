"""Closes with the code and the reason that the client asks for.

The message "3001 because I can" is answered by a close frame with these two; "empty" by one without a
code, "abort" by the bare end of the connection.
"""

from mod_pywebsocket.handshake import AbortedByUserException


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    message = request.ws_stream.receive_message()
    if message is None:
        return
    if message == 'abort':
        raise AbortedByUserException('the client asked for it')
    if message == 'empty':
        request.ws_stream.close_connection(None, None)
        return
    code, _, reason = message.partition(' ')
    request.ws_stream.close_connection(int(code), reason)
