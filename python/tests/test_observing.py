"""What a server sees of its clients: keepalive, idle timeouts, metrics, the log as JSON."""

import json
import re
import urllib.error
import urllib.request

import pytest
from conftest import ECHO, close, head, masked, text
from test_standalone import run

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
SHAPES = pytest.mark.parametrize('resource', ['/echo', '/wrapped', '/coroutine'])


@pytest.mark.parametrize('option', ['--ping-interval', '--idle-timeout'])
def test_seconds_are_no_nonsense(option):
    status, said = run(option, '-1')
    assert status == 1 and option in said and said.count('\n') == 1


def test_a_metrics_port_in_use_is_one_line(start):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    status, said = run('-p', '0', '--metrics', str(port))
    assert status == 1 and str(port) in said and 'in use' in said and said.count('\n') == 1


@SHAPES
def test_a_silent_client_is_pinged_and_one_that_is_gone_is_ended(start, resource):
    server = start(HANDLERS, '--ping-interval', '0.2')
    with server.connect() as client:
        client.upgrade(resource)
        for _ in range(4):
            # More often than a client may be silent.
            assert client.read_frame() == (0x89, PING)
            client.send(masked(0x8a, PING))
        client.send(text('x'))
        assert client.read_frame() == (0x81, b'x')
        assert client.read_frame() == (0x89, PING)
        assert client.read_all() == b''


def test_a_handler_that_does_not_receive_does_not_make_its_client_look_dead(start):
    server = start(HANDLERS, '--ping-interval', '0.2')
    with server.connect() as client:
        client.upgrade('/silent')
        for _ in range(4):
            assert client.read_frame() == (0x89, PING)
            client.send(masked(0x8a, PING))


def test_the_handler_hears_only_pongs_of_its_own_pings(start):
    server = start({'pongs': '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.on_pong_handler = lambda request, body: request.ws_stream.send_message(body, binary=True)
    request.ws_stream.receive_message()
'''}, '--ping-interval', '0.1')
    with server.connect() as client:
        client.upgrade('/pongs')
        assert client.read_frame() == (0x89, PING)
        client.send(masked(0x8a, PING) + masked(0x8a, b'other'))
        assert client.read_frame() == (0x82, b'other')


@SHAPES
def test_an_idle_connection_is_closed_however_alive(start, resource):
    server = start(HANDLERS, '--idle-timeout', '0.6', '--ping-interval', '0.1')
    with server.connect() as client:
        client.upgrade(resource)
        client.send(text('x'))
        frame = client.read_frame()
        assert frame == (0x81, b'x')
        while True:
            first, payload = client.read_frame()
            if first == 0x88:
                break
            client.send(masked(0x8a, payload))
        assert payload == b'\x03\xe9no message for 0.6 s'
        client.send(close(1001))
        assert client.read_all().replace(b'\x89\x09' + PING, b'') == b''
    assert 'Traceback' not in server.log()


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
        assert now['linkspan_gil_waits_total'] > 0
        client.send(close(3001))
        assert client.read_close() == 1000
        client.read_all()
    while now['linkspan_connections']:
        now = numbers(port)
    assert now['linkspan_closed_total{code="3xxx"}'] == 1 and now['linkspan_handlers_running'] == 0
    assert now['linkspan_received_bytes_total'] == now['linkspan_sent_bytes_total'] == 13


def test_metrics_tell_what_is_no_websocket_and_who_broke_off(start):
    server = start(HANDLERS, '--metrics', '0')
    port = metrics_port(server)
    server.answer(head('/none'))
    with server.connect() as client:
        client.upgrade()
    now = numbers(port)
    while now['linkspan_closed_total{code="1006"}'] != 1:
        now = numbers(port)
    assert (now['linkspan_accepted_total'], now['linkspan_opened_total']) == (2, 1)
    with pytest.raises(urllib.error.HTTPError, match='404'):
        ask(port, '/')


# The log.


def records(text_):
    return [json.loads(line) for line in text_.splitlines()]


@pytest.mark.parametrize('to_file', [False, True])
def test_the_log_as_json(start, tmp_path, to_file):
    path = tmp_path / 'json.log'
    server = start(HANDLERS, '--json-log', '--log-level', 'info', *(['-l', str(path)] if to_file else []))
    for resource in ('/echo', '/fails', '/coroutine'):
        with server.connect() as client:
            client.upgrade(resource)
            if resource != '/fails':
                client.send(text('x') + close(1000))
            client.read_all()
    server.stop(2)
    said = records(path.read_text() if to_file else server.log())
    for record in said:
        assert list(record) == ['time', 'level', 'connection', 'event', 'fields']
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', record['time'])
    opened = {record['fields']['resource']: record['connection'] for record in said if record['event'] == 'open'}
    assert sorted(opened) == ['/coroutine', '/echo', '/fails'] and len(set(opened.values())) == 3
    closed = {record['connection']: record['fields'] for record in said if record['event'] == 'close'}
    assert closed[opened['/echo']]['code'] == 1000 and closed[opened['/echo']]['received_messages'] == 1
    assert closed[opened['/coroutine']]['sent_bytes'] == 1
    assert closed[opened['/fails']]['code'] == 1006
    failure, = (record for record in said if record['level'] == 'error')
    assert failure['connection'] == opened['/fails']
    assert failure['fields']['exception'].startswith('Traceback ') and 'two\nlines' in failure['fields']['exception']
    assert 'Traceback' not in failure['fields']['message']
