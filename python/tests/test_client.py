"""``linkspan.connect`` without asyncio: messages, their end, threads, signals."""

import signal
import subprocess
import sys
import threading
import time

import linkspan
import pytest
from by_hand import peer
from conftest import ECHO, PATIENCE, serve_module

OTHERS = '''
from mod_pywebsocket import msgutil

def web_socket_do_extra_handshake(request):
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[-1]

def web_socket_transfer_data(request):
    headers = request.headers_in
    msgutil.send_message(request, '%s %s' % (headers.get('Cookie'), headers.get('Origin')))
    request.ws_stream.close_connection(4001, 'enough')
'''

server = serve_module({'echo': ECHO, 'others': OTHERS})


@pytest.fixture
def url(server):
    return 'ws://localhost:%d/echo' % server.port


def test_messages_of_every_kind_and_size_come_back(url):
    with linkspan.connect(url) as ws:
        for message in ['', 'hello', '语😀' * 50, b'', b'\x00\xff', bytearray(b'ab'), memoryview(b'cd'), b'x' * 70000,
                        'y' * 3_000_000]:
            ws.send(message)
            received = ws.receive(PATIENCE)
            assert type(received) is (str if isinstance(message, str) else bytes)
            assert received == (message if isinstance(message, str) else bytes(message))
        for wrong in [None, 1, ['a']]:
            with pytest.raises(TypeError):
                ws.send(wrong)


def test_compression_is_agreed_when_it_is_asked_for(url):
    with linkspan.connect(url, deflate=True) as ws:
        assert ws.extensions == 'permessage-deflate'
        for message in ['a' * 100_000, b'b' * 100_000, 'c']:
            ws.send(message)
            assert ws.receive(PATIENCE) == message
    with linkspan.connect(url) as ws:
        assert ws.extensions == ''


def test_what_is_known_of_a_connection(server, url):
    ws = linkspan.connect(url)
    assert (ws.url, ws.subprotocol, ws.ready_state, ws.buffered_amount) == (url, None, ws.OPEN, 0)
    assert (ws.close_code, ws.close_reason) == (None, None)
    assert ws.peer.endswith(':%d' % server.port) and ws.peer_certificate is None
    assert ws.response.status == 101 and ('Upgrade', 'websocket') in ws.response.headers and ws.response.body == b''
    assert repr(ws) == '<linkspan.WebSocket %s open>' % url
    ws.close(3000, 'done')
    assert (ws.ready_state, ws.close_code, ws.close_reason) == (ws.CLOSED, 1000, '')
    ws.close(4000)
    assert ws.close_code == 1000


def test_headers_origin_and_subprotocols_reach_the_server(server):
    url = 'ws://localhost:%d/others' % server.port
    for headers in [{'Cookie': 'a=b'}, [('Cookie', 'a=b')], (['cookie', 'a=b'],)]:
        with linkspan.connect(url, headers=headers, origin='http://a.example', subprotocols=['one', 'two']) as ws:
            assert ws.subprotocol == 'two'
            assert ws.receive(PATIENCE) == 'a=b http://a.example'


def test_a_close_of_the_server_is_told_each_time(server):
    ws = linkspan.connect('ws://localhost:%d/others' % server.port)
    assert ws.receive(PATIENCE) == 'None None'
    for _ in range(2):
        with pytest.raises(linkspan.ConnectionClosed, match=r'^the connection was closed with 4001 \(enough\)$') as told:
            ws.receive(PATIENCE)
        assert (told.value.code, told.value.reason, told.value.clean) == (4001, 'enough', True)
    assert (ws.close_code, ws.close_reason) == (4001, 'enough')
    with pytest.raises(linkspan.ConnectionClosed) as told:
        ws.send('late')
    assert told.value.code == 4001


def test_iteration_ends_with_a_clean_close_only(server):
    with linkspan.connect('ws://localhost:%d/others' % server.port) as ws:
        assert list(ws) == ['None None']

    def breaks_off(client):
        client.upgrade()
        client.send(b'\x81\x01a')

    with peer(breaks_off) as port:
        messages = []
        with pytest.raises(linkspan.ConnectionClosed, match='^the connection broke') as told:
            for message in linkspan.connect('ws://localhost:%d/' % port):
                messages.append(message)
    assert (messages, told.value.code, told.value.clean) == (['a'], 1006, False)


def test_a_rule_that_the_server_breaks_is_named_and_told_to_it():
    def sends_a_masked_frame(client):
        client.upgrade()
        client.send(b'\x81\x81\x00\x00\x00\x00a')
        first, payload = client.read_frame()
        assert (first, payload[:2]) == (0x88, b'\x03\xea')

    with peer(sends_a_masked_frame) as port:
        ws = linkspan.connect('ws://localhost:%d/' % port)
        with pytest.raises(linkspan.ConnectionClosed, match='^a server\'s frame is masked') as told:
            ws.receive(PATIENCE)
    assert (told.value.code, ws.close_code) == (1002, 1002)


def test_a_message_above_the_limit_closes_the_connection(url):
    with linkspan.connect(url, max_message_bytes=1000) as ws:
        ws.send('a' * 1000)
        assert len(ws.receive(PATIENCE)) == 1000
        ws.send('a' * 1001)
        with pytest.raises(linkspan.ConnectionClosed) as told:
            ws.receive(PATIENCE)
        assert told.value.code == 1009


def test_a_message_in_pieces_lets_pings_through():
    def handler(client):
        client.upgrade()
        assert [client.read_frame() for _ in range(5)] == [
            (0x01, b'hel'), (0x89, b'?'), (0x80, b'lo'), (0x8a, b''), (0x81, b'next')]
        client.close()

    with peer(handler) as port:
        ws = linkspan.connect('ws://localhost:%d/' % port)
        ws.send_fragment('hel')
        with pytest.raises(ValueError, match='fragment'):
            ws.send('another')
        with pytest.raises(ValueError, match='fragment'):
            ws.send_fragment(b'of another kind')
        ws.ping('?')
        ws.send_fragment('lo', end=True)
        ws.pong()
        ws.send('next')
        with pytest.raises(ValueError, match='126'):
            ws.ping(b'x' * 126)
        assert list(ws) == []


def test_pings_are_answered_while_somebody_receives():
    def handler(client):
        client.upgrade()
        client.send(b'\x89\x02hi')
        assert client.read_frame() == (0x8a, b'hi')
        client.close()

    with peer(handler) as port:
        assert list(linkspan.connect('ws://localhost:%d/' % port)) == []


def test_a_silent_server_is_probed_and_given_up():
    def handler(client):
        client.upgrade()
        assert client.read_frame() == (0x89, b'')
        client.read_all()

    with peer(handler) as port:
        ws = linkspan.connect('ws://localhost:%d/' % port, ping_interval=0.05, pong_timeout=0.05)
        with pytest.raises(linkspan.ConnectionClosed, match='^no pong came in time'):
            ws.receive(PATIENCE)


def test_waiting_has_an_end_and_loses_nothing(url):
    with linkspan.connect(url) as ws:
        with pytest.raises(TimeoutError, match='^no message has come in time$') as told:
            ws.receive(0)
        assert isinstance(told.value, linkspan.TimedOut) and isinstance(told.value, linkspan.Error)
        began = time.monotonic()
        with pytest.raises(linkspan.TimedOut):
            ws.receive(timeout=0.03)
        assert time.monotonic() - began >= 0.03
        ws.send('after')
        assert ws.receive(PATIENCE) == 'after'


def test_a_close_that_nobody_answers_has_an_end():
    def handler(client):
        client.upgrade()
        client.read_all()

    with peer(handler) as port:
        ws = linkspan.connect('ws://localhost:%d/' % port, close_timeout=0.05)
        ws.close()
        assert ws.close_code == 1006


@pytest.mark.parametrize('code, reason', [(999, ''), (1005, ''), (1006, ''), (70000, ''), (-1, ''), (1000, 'x' * 124),
                                          (None, 'why')])
def test_a_close_that_may_not_be_is_refused(url, code, reason):
    with linkspan.connect(url) as ws:
        with pytest.raises(ValueError):
            ws.close(code, reason)
        ws.send('still open')
        assert ws.receive(PATIENCE) == 'still open'


def test_a_close_has_what_it_was_given():
    def handler(client):
        client.upgrade()
        frames.append(client.read_frame())
        client.send(b'\x88\x00')

    frames = []
    for arguments in [(), (3000, 'done'), (None,)]:
        with peer(handler) as port:
            ws = linkspan.connect('ws://localhost:%d/' % port)
            ws.close(*arguments)
            assert (ws.close_code, ws.close_reason) == (1005, '')
    assert frames == [(0x88, b'\x03\xe8'), (0x88, b'\x0b\xb8done'), (0x88, b'')]


def test_a_block_that_fails_waits_for_nobody():
    def handler(client):
        client.upgrade()
        assert client.read_frame() is None

    with peer(handler) as port:
        with pytest.raises(ZeroDivisionError):
            with linkspan.connect('ws://localhost:%d/' % port):
                raise ZeroDivisionError


def test_threads_send_while_one_receives(url):
    with linkspan.connect(url) as ws:
        def send(name):
            for number in range(100):
                ws.send('%s%d' % (name, number))
                ws.send(name.encode() * 5000)

        senders = [threading.Thread(target=send, args=(name,)) for name in 'abcd']
        for sender in senders:
            sender.start()
        received = [ws.receive(PATIENCE) for _ in range(800)]
        for sender in senders:
            sender.join(PATIENCE)
    for name in 'abcd':
        assert [m for m in received if isinstance(m, str) and m[0] == name] == ['%s%d' % (name, n) for n in range(100)]
        assert received.count(name.encode() * 5000) == 100


def test_a_receiver_ends_when_another_thread_closes(url):
    ws = linkspan.connect(url)
    ended = []

    def receive():
        try:
            ws.receive()
        except linkspan.ConnectionClosed as closed:
            ended.append(closed.code)

    receiver = threading.Thread(target=receive)
    receiver.start()
    ws.close()
    receiver.join(PATIENCE)
    assert ended == [1000]


WAITING = '''
import linkspan, sys
ws = linkspan.connect(sys.argv[1])
try:
    print('connected', flush=True)
    %s
except KeyboardInterrupt:
    print('interrupted', flush=True)
    ws.send('alive')
    print(ws.receive())
'''


@pytest.mark.parametrize('call', ['ws.receive()', 'ws.receive(timeout=1000)'])
def test_ctrl_c_ends_a_wait_and_loses_nothing(url, call):
    with subprocess.Popen([sys.executable, '-c', WAITING % call, url], stdout=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as waiting:
        assert waiting.stdout.readline() == 'connected\n'
        waiting.send_signal(signal.SIGINT)
        assert waiting.stdout.readline() == 'interrupted\n'
        assert waiting.stdout.readline() == 'alive\n'
        assert waiting.wait(PATIENCE) == 0


def test_a_server_does_not_read_the_client():
    program = ('import sys, linkspan; assert "linkspan._client" not in sys.modules; assert "asyncio" not in sys.modules;'
               'linkspan.connect; assert "linkspan._client" in sys.modules; assert "asyncio" not in sys.modules;'
               'assert set(linkspan.__all__) <= set(dir(linkspan))')
    subprocess.run([sys.executable, '-c', program], check=True, timeout=PATIENCE)
    with pytest.raises(AttributeError, match='no attribute'):
        linkspan.conect  # noqa: B018
    for name in linkspan.__all__:
        assert getattr(linkspan, name) is not None
