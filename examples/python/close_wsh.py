"""Closes with the code and the reason that the client asks for, and answers a close by the client's own.

The message "3001 because I can" is answered by a close frame with these two; "empty" by one without a
code, "abort" by the bare end of the connection.
"""

from mod_pywebsocket import common
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


def web_socket_passive_closing_handshake(request):
    # This code stands for a close frame without one, which is answered by its like.
    if request.ws_close_code == common.STATUS_NO_STATUS_RECEIVED:
        return None, None
    return request.ws_close_code, request.ws_close_reason
