"""The other end of a benchmark page.

A text "send N" is answered by a binary message of N bytes; "receive N" says that one of N bytes follows,
and its answer is "received N".
"""


def web_socket_do_extra_handshake(request):
    request.ws_extension_processors = []


def web_socket_transfer_data(request):
    while True:
        command = request.ws_stream.receive_message()
        if command is None:
            return
        verb, _, size = command.partition(' ')
        if verb == 'send':
            request.ws_stream.send_message(b'*' * int(size), binary=True)
        elif verb == 'receive':
            received = len(request.ws_stream.receive_message())
            request.ws_stream.send_message('received %d' % received)
        else:
            request.ws_stream.send_message('unknown command: %s' % verb)
