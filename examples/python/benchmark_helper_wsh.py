"""The other end of the benchmark page. Each text is a command, and several may be on their way at once.

"receive N" is answered by a binary message of N bytes, all of them "a". "send 0" says that a message of any size
follows, which is answered by its size as text; after "send 1" every byte of it must be an "a". Nothing is compressed.
"""


def web_socket_do_extra_handshake(request):
    request.ws_extension_processors = []


def web_socket_transfer_data(request):
    ws_stream = request.ws_stream
    payload = b''
    while True:
        command = ws_stream.receive_message()
        if command is None:
            return
        verb, _, argument = command.partition(' ')
        if verb == 'receive':
            size = int(argument)
            if len(payload) != size:
                payload = b'a' * size
            ws_stream.send_message(payload, binary=True)
        elif verb == 'send':
            message = ws_stream.receive_message()
            if argument == '1' and message.count(b'a') != len(message):
                raise ValueError('of %d bytes, %d are not the ones that were sent'
                                 % (len(message), len(message) - message.count(b'a')))
            ws_stream.send_message(str(len(message)))
        else:
            raise ValueError('not a command: %r' % command)
