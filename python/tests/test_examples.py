"""The example handlers, as they are shipped."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server, close, head, masked, text

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples' / 'python'


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp('root'), '-w', str(EXAMPLES))
    yield server
    server.stop()


def test_none_has_a_warning(server):
    with server.connect() as client:
        client.upgrade('/echo')
    assert 'Warning' not in server.log()


@pytest.mark.parametrize('resource', ['/echo', '/echo_noext'])
def test_echo(server, resource):
    with server.connect() as client:
        client.upgrade(resource)
        client.send(text('text') + masked(0x82, b'binary'))
        assert client.read_frame() == (0x81, b'text')
        assert client.read_frame() == (0x82, b'binary')


def test_echo_takes_the_first_subprotocol_and_echoes_closes(server):
    with server.connect() as client:
        assert client.upgrade('/echo', Sec_WebSocket_Protocol='a, b').endswith(b'Sec-WebSocket-Protocol: a')
        client.send(close(4000, 'mine'))
        assert client.read_frame() == (0x88, b'\x0f\xa0mine')
    with server.connect() as client:
        client.upgrade('/echo')
        client.send(text('Goodbye') + close())
        assert client.read_frame() == (0x81, b'Goodbye')
        assert client.read_close() == 1000


@pytest.mark.parametrize('wish, code', [('3001 because', 3001), ('empty', None), ('abort', 1006)])
def test_close(server, wish, code):
    with server.connect() as client:
        client.upgrade('/close')
        client.send(text(wish))
        assert client.read_close() == code


def test_origin_check(server):
    assert server.answer(head('/origin_check', Origin='http://elsewhere')).startswith(b'HTTP/1.0 403 ')
    with server.connect() as client:
        client.upgrade('/origin_check', Origin='http://localhost')
        assert client.read_frame() == (0x81, b'Welcome, http://localhost')


def test_cookie(server):
    with server.connect() as client:
        assert b'\r\nSet-Cookie: day=' in client.upgrade('/cookie?day', Cookie='brought=1')
        assert client.read_frame() == (0x81, b'brought=1')
    with server.connect() as client:
        assert client.upgrade('/cookie?clear').count(b'Max-Age=0') == 3


@pytest.mark.parametrize('resource, code', [('/abort', 1006), ('/internal_error', 1011)])
def test_ends(server, resource, code):
    with server.connect() as client:
        client.upgrade(resource)
        assert client.read_close() == code


def test_abort_handshake(server):
    assert server.answer(head('/abort_handshake')) == b''


def test_hsts(server):
    with server.connect() as client:
        assert b'\r\nStrict-Transport-Security: max-age=100' in client.upgrade('/hsts')


def test_benchmarks(server):
    with server.connect() as client:
        client.upgrade('/bench?3,200')
        assert [client.read_frame() for _ in range(3)] == [(0x82, b'*' * 200)] * 3
    with server.connect() as client:
        client.upgrade('/benchmark_helper')
        client.send(text('send 5') + text('receive 70000') + masked(0x82, b'x' * 70000))
        assert client.read_frame() == (0x82, b'*****')
        assert client.read_frame() == (0x81, b'received 70000')


def test_echo_client(server):
    command = [sys.executable, str(EXAMPLES / 'echo_client.py'), '-p', str(server.port), '-m', 'one', '-m', 'x' * 70000]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said == 'Send: one\nRecv: one\nSend: {0}\nRecv: {0}\nClosed\n'.format('x' * 70000)
