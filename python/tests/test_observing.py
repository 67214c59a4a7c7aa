"""What a server sees of its clients: keepalive, idle timeouts, metrics, the log as JSON."""

import calendar
import contextlib
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ECHO, PATIENCE, Client, close, head, masked, text
from test_standalone import run

from mod_pywebsocket.websocket_server import WebSocketServer

PING = b'keepalive'
WRAPPED = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    read, write = request.connection.read, request.connection.write
    request.connection.read = lambda length: read(length)
    request.connection.write = lambda data: write(data)
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        request.ws_stream.send_message(message, binary=isinstance(message, bytes))
'''
SILENT = '''
import threading

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    threading.Event().wait()
'''
HANDLERS = {'echo': ECHO, 'wrapped': WRAPPED, 'silent': SILENT,
            'coroutine': ECHO.replace('def web_socket_tr', 'async def web_socket_tr').replace(
                'request.ws_stream.', 'await request.ws_stream.'),
            'fails': ECHO.replace('while True:', 'while True:\n        raise ValueError("two\\nlines")')}
RESOURCES = ['/echo', '/wrapped', '/coroutine']
SHAPES = pytest.mark.parametrize('resource', RESOURCES)


@pytest.mark.parametrize('option', ['--ping-interval', '--idle-timeout'])
def test_seconds_are_no_nonsense(option):
    status, said = run(option, '-1')
    assert status == 1 and option in said and said.count('\n') == 1


def test_a_metrics_port_in_use_is_one_line(start):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    status, said = run('-p', '0', '--metrics', str(port))
    assert status == 1 and str(port) in said and 'in use' in said and said.count('\n') == 1


def open_all(server, stack):
    """A client of each kind of handler, at once."""
    clients = [stack.enter_context(server.connect()) for _ in RESOURCES]
    for client, resource in zip(clients, RESOURCES):
        client.upgrade(resource)
    return clients


def test_a_silent_client_is_pinged_and_one_that_is_gone_is_ended(start):
    server = start(HANDLERS, '--ping-interval', '1')
    with contextlib.ExitStack() as stack:
        clients = open_all(server, stack)
        for _ in range(3):
            # Longer than a client may be silent.
            for client in clients:
                assert client.read_frame() == (0x89, PING)
                client.send(masked(0x8a, PING))
        for client in clients:
            client.send(text('x'))
        for client in clients:
            assert client.read_frame() == (0x81, b'x')
        for client in clients:
            assert client.read_frame() == (0x89, PING)
            assert client.read_all() == b''


def test_a_handler_that_does_not_receive_does_not_make_its_client_look_dead(start):
    server = start(HANDLERS, '--ping-interval', '0.6')
    with server.connect() as client:
        client.upgrade('/silent')
        for _ in range(4):
            assert client.read_frame() == (0x89, PING)
            client.send(masked(0x8a, PING))


def test_so_much_unread_that_a_pong_would_wait_behind_it_is_no_silence(start):
    server = start(HANDLERS, '--ping-interval', '0.2')
    with server.connect() as client, server.connect() as other:
        client.upgrade('/silent')
        client.send(masked(0x82, bytes(100000)))
        other.upgrade()
        # Another is pinged and ended meanwhile.
        assert other.read_frame() == (0x89, PING)
        assert other.read_all() == b''
        client.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.sock.recv(1)


def test_the_handler_hears_only_pongs_of_its_own_pings(start):
    server = start({'pongs': '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.on_pong_handler = lambda request, body: request.ws_stream.send_message(body, binary=True)
    request.ws_stream.receive_message()
'''}, '--ping-interval', '0.6')
    with server.connect() as client:
        client.upgrade('/pongs')
        assert client.read_frame() == (0x89, PING)
        client.send(masked(0x8a, PING) + masked(0x8a, b'other'))
        assert client.read_frame() == (0x82, b'other')


def test_an_idle_connection_is_closed_however_alive(start):
    server = start(HANDLERS, '--idle-timeout', '1.5', '--ping-interval', '0.5')
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as threads:
        list(threads.map(keep_alive, open_all(server, stack)))
    assert 'Traceback' not in server.log()


def keep_alive(client):
    """Says something, and then answers pings until the server says goodbye."""
    client.send(text('x'))
    assert client.read_frame() == (0x81, b'x')
    for _ in range(20):
        first, payload = client.read_frame()
        if first == 0x88:
            break
        client.send(masked(0x8a, payload))
    assert payload == b'\x03\xe9no message for 1.5 s'
    client.send(close(1001))
    assert client.read_all().replace(b'\x89\x09' + PING, b'') == b''


def test_an_idle_handler_that_sleeps_is_ended_too(start):
    server = start(HANDLERS, '--idle-timeout', '0.2', '--close-timeout', '0.2')
    with server.connect() as client:
        client.upgrade('/silent')
        assert client.read_close() == 1001
        assert client.read_all() == b''


# Metrics.


def metrics_port(server):
    line = server.process.stdout.readline().decode()
    return int(re.fullmatch(r'metrics on http://127\.0\.0\.1:(\d+)/metrics\n', line).group(1))


def ask(port, path='/metrics'):
    with urllib.request.urlopen('http://127.0.0.1:%d%s' % (port, path), timeout=20) as answer:
        return answer.headers, answer.read().decode()


def numbers(port):
    _, said = ask(port)
    return {name: float(value) for name, value in
            (line.rsplit(' ', 1) for line in said.splitlines() if not line.startswith('#'))}


def numbers_when(port, is_so):
    """They are late: what has ended for a client may still end for its server."""
    deadline = time.monotonic() + PATIENCE
    while True:
        now = numbers(port)
        if is_so(now):
            return now
        assert time.monotonic() < deadline, now


@SHAPES
def test_metrics_count_all_that_passes(start, resource):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    headers, said = ask(port)
    assert headers['Content-Type'] == 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    assert said.endswith('\n# EOF\n')
    with server.connect() as client:
        client.upgrade(resource)
        client.send(text('12345') + masked(0x02, b'12') + masked(0x89) + masked(0x80, b'34567'))
        assert client.read(7) == b'\x81\x0512345'
        assert client.read(2) == b'\x8a\x00'
        assert client.read(9) == b'\x82\x071234567'
        client.send(text('!'))
        assert client.read(3) == b'\x81\x01!'
        now = numbers(port)
        assert now['linkspan_connections'] == now['linkspan_handlers_running'] == 1
        assert now['linkspan_accepted_total'] == now['linkspan_opened_total'] == 1
        assert now['linkspan_received_messages_total'] == now['linkspan_sent_messages_total'] == 3
        assert now['linkspan_received_bytes_total'] == now['linkspan_sent_bytes_total'] == 13
        assert now['linkspan_gil_waits_total'] > 0 and now['linkspan_gil_wait_seconds_total'] > 0
        client.send(close(3001))
        assert client.read_close() == 1000
        client.read_all()
    now = numbers_when(port, lambda now: not now['linkspan_connections'])
    assert now['linkspan_closed_total{code="3xxx"}'] == 1 and now['linkspan_handlers_running'] == 0
    assert now['linkspan_received_bytes_total'] == now['linkspan_sent_bytes_total'] == 13


def test_metrics_tell_what_is_no_websocket_and_who_broke_off(start):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    server.answer(head('/none'))
    with server.connect() as client:
        client.upgrade()
    now = numbers_when(port, lambda now: now['linkspan_closed_total{code="1006"}'])
    assert (now['linkspan_accepted_total'], now['linkspan_opened_total']) == (2, 1)
    with pytest.raises(urllib.error.HTTPError, match='404'):
        ask(port, '/')


def test_metrics_count_what_is_compressed_as_the_handler_sees_it(start):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    with server.connect() as client:
        client.upgrade(Sec_WebSocket_Extensions='permessage-deflate')
        # "Hello" (RFC 7692 7.2.3.1).
        client.send(masked(0xc1, b'\xf2\x48\xcd\xc9\xc9\x07\x00'))
        first, _ = client.read_frame()
        assert first == 0xc1
        now = numbers(port)
    assert now['linkspan_received_messages_total'] == now['linkspan_sent_messages_total'] == 1
    assert now['linkspan_received_bytes_total'] == now['linkspan_sent_bytes_total'] == 5


CLOSES = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    stream = request.ws_stream
    stream.send_message('a', end=False)
    stream.send_message('bc')
    code = int(request.uri.rpartition('?')[2])
    if code:
        stream.close_connection(code)

def web_socket_passive_closing_handshake(request):
    return 4001, ''
'''


@pytest.mark.parametrize('ours, theirs, counted', [
    (1000, 1000, '1000'), (1001, None, '1001'), (1012, 1012, '1012'), (2999, 2999, 'other'), (4999, 4999, '4xxx'),
    (3000, 3000, '3xxx'), (4000, 1000, '1000'), (1008, 1005, '1005'),
])
def test_metrics_name_the_code_of_a_close(start, ours, theirs, counted):
    server = start({'closes': CLOSES}, '--metrics', '0')
    port = metrics_port(server)
    with server.connect() as client:
        client.upgrade('/closes?%d' % ours)
        assert client.read(6) == b'\x01\x01a\x80\x02b' and client.read(1) == b'c'
        assert client.read_close() == ours
        now = numbers(port)
        assert (now['linkspan_received_messages_total'], now['linkspan_sent_messages_total']) == (0, 1)
        if theirs is not None:
            client.send(close(None if theirs == 1005 else theirs))
        client.read_all()
    now = numbers_when(port, lambda now: not now['linkspan_connections'])
    assert {name for name, value in now.items() if 'closed_total' in name and value} == {
        'linkspan_closed_total{code="%s"}' % counted}
    assert (now['linkspan_sent_messages_total'], now['linkspan_sent_bytes_total']) == (1, 3)


def test_metrics_count_on_a_socket_that_somebody_has_wrapped(embed):
    class Wrapped:
        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

    class Mine(WebSocketServer):
        def get_request(self):
            request, address = super().get_request()
            return Wrapped(request), address

    server = embed(Mine, metrics=0)
    with Client(socket.create_connection(('127.0.0.1', server.server_port), PATIENCE)) as client:
        client.upgrade()
        client.send(text('12345') + masked(0x89, b'ping') + masked(0x82, b'6'))
        assert client.read(7 + 6 + 3) == b'\x81\x0512345\x8a\x04ping\x82\x016'
        now = numbers(server._metrics_port)
        client.send(close(1000))
        assert client.read_close() == 1000
    assert now['linkspan_received_messages_total'] == now['linkspan_sent_messages_total'] == 2
    assert now['linkspan_received_bytes_total'] == now['linkspan_sent_bytes_total'] == 6


def test_metrics_are_for_this_machine_and_end_with_their_server(embed):
    server = embed(metrics=0)
    port = server._metrics_port
    assert server._observers[0]._http.server_address[0] == '127.0.0.1'
    with socket.create_connection(('127.0.0.1', port), PATIENCE) as sock:
        sock.sendall(b'HEAD /metrics HTTP/1.0\r\n\r\n')
        assert sock.makefile('rb').read().endswith(b'\r\n\r\n')
    server.server_close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', port), PATIENCE)


# The log.


def records(text_):
    return [json.loads(line) for line in text_.splitlines()]


@pytest.mark.parametrize('to_file', [False, True])
def test_the_log_as_json(start, tmp_path, to_file):
    path = tmp_path / 'json.log'
    server = start(HANDLERS, '--json-log', '--log-level', 'info', *(['-l', str(path)] if to_file else []))
    for resource in ('/echo', '/fails', '/coroutine'):
        with server.connect() as client:
            client.upgrade(resource, Origin='http://here')
            if resource != '/fails':
                client.send(text('x' * 7) + close(1000))
            client.read_all()
    began = time.time()
    server.stop(2)
    said = records(path.read_text() if to_file else server.log())
    for record in said:
        assert list(record) == ['time', 'level', 'connection', 'event', 'fields']
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', record['time'])
        assert abs(calendar.timegm(time.strptime(record['time'][:19], '%Y-%m-%dT%H:%M:%S')) - began) < 600
    opened = {record['fields']['resource']: record['connection'] for record in said if record['event'] == 'open'}
    assert sorted(opened) == ['/coroutine', '/echo', '/fails'] and len(set(opened.values())) == 3
    peers = [record['fields'].pop('peer') for record in said if record['event'] == 'open']
    assert set(peers) <= {'127.0.0.1', '::1'}
    assert [record['fields'] for record in said if record['event'] == 'open'][0] == {
        'resource': '/echo', 'origin': 'http://here', 'subprotocol': None, 'logger': 'mod_pywebsocket._json_log',
        'message': 'open'}
    closed = {record['connection']: record['fields'] for record in said if record['event'] == 'close'}
    for resource in ('/echo', '/coroutine'):
        counted = {name: value for name, value in closed[opened[resource]].items() if name not in ('logger', 'message')}
        assert counted == {'code': 1000, 'received_messages': 1, 'received_bytes': 7, 'sent_messages': 1, 'sent_bytes': 7}
    assert closed[opened['/fails']]['code'] == 1006
    failure, = (record for record in said if record['level'] == 'error')
    assert failure['connection'] == opened['/fails']
    assert failure['fields']['exception'].startswith('Traceback ') and 'two\nlines' in failure['fields']['exception']
    assert 'Traceback' not in failure['fields']['message']


def test_the_json_log_has_tracebacks_of_every_kind(start):
    server = start({'aborts': ECHO.replace('    pass', '''
    from mod_pywebsocket import handshake
    raise handshake.AbortedByUserException('no more')''')}, '--json-log', '--log-level', 'debug')
    with server.connect() as client:
        client.send(head('/aborts'))
        assert client.read_all() == b''
    tracebacks = [record['fields']['exception'] for record in records(server.log()) if 'exception' in record['fields']]
    assert tracebacks and all(trace.startswith('Traceback ') and 'no more' in trace for trace in tracebacks)


def test_the_json_log_tells_who_was_sent_away(start):
    server = start(HANDLERS, '--json-log', '--log-level', 'info')
    with server.connect() as client:
        client.upgrade()
        server.process.send_signal(signal.SIGTERM)
        assert client.read_close() == 1001
    server.process.wait(PATIENCE)
    closed, = (record['fields'] for record in records(server.log()) if record['event'] == 'close')
    assert closed['code'] == 1001


def test_the_json_log_tells_who_was_idle(start):
    server = start(HANDLERS, '--json-log', '--log-level', 'info', '--idle-timeout', '0.2', '--metrics', '0')
    port = metrics_port(server)
    with server.connect() as client:
        client.upgrade()
        assert client.read_close() == 1001
    assert numbers_when(port, lambda now: now['linkspan_closed_total{code="1001"}'])['linkspan_opened_total'] == 1
    said = records(server.log())
    connection, = (record['connection'] for record in said if record['event'] == 'open')
    assert [record['fields']['message'].partition(') ')[2] for record in said
            if record['connection'] == connection and record['fields']['logger'].endswith('_keepalive')] == ['closed: no message for 0.2 s']
