"""Context variables: what a connection's hooks and handler set is its own, whichever thread or task serves it."""

import pytest
from conftest import as_async, close, text

HANDLER = '''
import contextvars
from mod_pywebsocket import msgutil

hooked = contextvars.ContextVar('hooked', default='nobody')
mine = contextvars.ContextVar('mine', default='nobody')

def web_socket_do_extra_handshake(request):
    if request.uri.endswith('hook'):
        hooked.set(request.uri)

def web_socket_transfer_data(request):
    seen = '%s %s' % (hooked.get(), mine.get())
    mine.set(request.uri)
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        if message == 'change':
            mine.set('changed')
        request.ws_stream.send_message('%s, then %s %s' % (seen, hooked.get(), mine.get()))
'''


@pytest.fixture(params=['blocking', 'async'])
def server(request, start):
    handler = HANDLER
    if request.param == 'async':
        # The first hook runs where the connection does: what it sets is for the handler.
        handler = as_async(handler).replace('async def web_socket_do', 'def web_socket_do')
    return start({'vars': handler})


def ask(client, message='?'):
    client.send(text(message))
    return client.read_frame()[1].decode()


def test_open_connections_do_not_see_each_others(server):
    with server.connect() as one, server.connect() as two:
        one.upgrade('/vars?1-hook')
        two.upgrade('/vars?2')
        for _ in range(3):
            assert ask(one) == '/vars?1-hook nobody, then /vars?1-hook /vars?1-hook'
            assert ask(two) == 'nobody nobody, then nobody /vars?2'
        assert ask(two, 'change') == 'nobody nobody, then nobody changed'
        assert ask(one) == '/vars?1-hook nobody, then /vars?1-hook /vars?1-hook'


def test_a_connection_does_not_see_those_of_one_that_has_ended(server):
    for number in range(10):
        # Threads serve one connection after the other.
        for resource, hooked in (('/vars?hook', '/vars?hook'), ('/vars?%d' % number, 'nobody')):
            with server.connect() as client:
                client.upgrade(resource)
                assert ask(client) == '%s nobody, then %s %s' % (hooked, hooked, resource)
                client.send(close(1000))
                assert client.read_close() == 1000 and client.read_all() == b''
