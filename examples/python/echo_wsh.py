"""Sends back what it receives, text as text and binary as binary, until the client closes.

A text "Goodbye" is sent back too, and then the server closes.
"""

_GOODBYE = 'Goodbye'


def web_socket_do_extra_handshake(request):
    # Whatever subprotocol the client likes best is fine for an echo.
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[0]


def web_socket_transfer_data(request):
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        request.ws_stream.send_message(message, binary=isinstance(message, bytes))
        if message == _GOODBYE:
            return


def web_socket_passive_closing_handshake(request):
    # The client's own code and reason; an empty close frame (1005) is answered by an empty one.
    if request.ws_close_code in (None, 1005):
        return None, None
    return request.ws_close_code, request.ws_close_reason
