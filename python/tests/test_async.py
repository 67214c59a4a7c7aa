"""Handlers that are ``async``: the same life cycle as others, on one loop and without a thread each."""

import pytest
from conftest import Client, close, head, masked, serve_module, text

ECHO_ASYNC = '''
def web_socket_do_extra_handshake(request):
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[0]

async def web_socket_transfer_data(request):
    while True:
        message = await request.ws_stream.receive_message()
        if message is None:
            return
        await request.ws_stream.send_message(message, binary=isinstance(message, bytes))
'''

server = serve_module({'echo': ECHO_ASYNC})


def test_echo(server):
    with server.connect() as client:
        client.upgrade()
        client.send(text('text') + masked(0x82, b'binary'))
        assert client.read_frame() == (0x81, b'text')
        assert client.read_frame() == (0x82, b'binary')
        client.send(text('x' * 300000))
        assert client.read_frame() == (0x81, b'x' * 300000)
        client.send(close(1000))
        assert client.read_close() == 1000
        assert client.read_all() == b''
