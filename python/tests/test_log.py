"""What clients send cannot forge the log, nor what is counted."""

import json
import re

import pytest
from conftest import ECHO, close, head

SAYS = '''
import logging

def web_socket_do_extra_handshake(request):
    logging.warning('cookie %s', request.headers_in.get('Cookie'))

def web_socket_transfer_data(request):
    while request.ws_stream.receive_message() is not None:
        pass

def web_socket_passive_closing_handshake(request):
    logging.warning('reason %s', request.ws_close_reason)
    return None, 'text'
'''
# What ends a line, colours it, moves the cursor, or turns the direction of writing.
EVIL = '\x1b[2J\x1b]0;title\x07\r[2000-01-01] [ERROR] root: forged\x08\x0b\x0c\x7f\x85\x9b31m\x00'
# The same without what ends a header.
VALUE = EVIL.replace('\r', '').replace('\x00', '')
FOLDED = 'a\r\n [2000-01-01 00:00:00,000] [ERROR] root: forged'


def attack(server):
    for request in (
            b'GET /x%s HTTP/1.1\r\n\r\n' % EVIL.encode('latin-1'),
            b'%s / HTTP/1.1\r\n\r\n' % EVIL.encode('latin-1'),
            b'GET / %s\r\n\r\n' % EVIL.encode('latin-1'),
            b'GET /missing%0a[2000-01-01]%20[ERROR]%20root:%20forged HTTP/1.1\r\n\r\n'):
        server.answer(request)
    for name in ('Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Sec-WebSocket-Protocol',
                 'Sec-WebSocket-Extensions', 'Origin', 'Host', 'Cookie', 'Authorization'):
        for value in (VALUE, FOLDED):
            server.exchange(head(**{name.replace('-', '_'): value}))
            server.exchange(head('/says', **{name.replace('-', '_'): value}))
    with server.connect() as client:
        client.upgrade('/says')
        client.send(close(1000, EVIL.replace('\x00', '')[:20] + '\n[2000-01-01] [ERROR] root: forged\u2028\u202e'))
        client.read_all()


@pytest.mark.parametrize('level', ['warn', 'info', 'debug'])
def test_no_client_writes_a_line_of_the_log(start, level):
    server = start({'echo': ECHO, 'says': SAYS}, '--log-level', level, '--origin', 'http://good.example')
    attack(server)
    with open(server.log_path, 'rb') as file:
        log = file.read().decode('utf-8')
    assert log.count(': reason \\x1b[2J') == 1
    assert not re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]', log)
    # Every line is one of the server's own.
    for line in log.split('\n'):
        assert not line.startswith('[2000-01-01')


def test_no_client_writes_an_object_of_the_json_log(start):
    server = start({'echo': ECHO, 'says': SAYS}, '--log-level', 'info', '--json-log')
    attack(server)
    with open(server.log_path, 'rb') as file:
        lines = file.read().splitlines()
    objects = [json.loads(line) for line in lines]
    assert all(set(entry) == {'time', 'level', 'connection', 'event', 'fields'} for entry in objects)
    assert not any(byte < 0x20 or byte > 0x7e for line in lines for byte in line)
    assert all(entry['level'] != 'error' for entry in objects), [e for e in objects if e['level'] == 'error']
    assert any(entry['event'] == 'open' and entry['fields']['resource'] == '/says' for entry in objects)


def test_no_client_makes_a_label_of_the_metrics(start):
    import urllib.request

    from conftest import masked
    server = start({'echo': ECHO}, '--metrics', '0')
    port = int(server.process.stdout.readline().decode().rpartition(':')[2].partition('/')[0])
    url = 'http://127.0.0.1:%d/metrics' % port
    names = [line.partition(' ')[0] for line in urllib.request.urlopen(url).read().decode().splitlines()]
    for code in (0, 999, 1016, 2999, 5000, 65535):
        with server.connect() as client:
            client.upgrade('/echo?{code="1"}', Origin='"} 1\n'.strip())
            client.send(masked(0x88, code.to_bytes(2, 'big') + b'"} 1'))
            client.read_all()
    lines = urllib.request.urlopen(url).read().decode().splitlines()
    assert [line.partition(' ')[0] for line in lines] == names
    assert 'linkspan_closed_total{code="other"} 6' in lines
