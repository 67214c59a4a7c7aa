"""The example handlers, as they are shipped."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server, close, head, masked, text

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples' / 'python'


@contextlib.contextmanager
def serving(directory, *options):
    server = Server(directory, *map(str, options))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp('root'), '-w', EXAMPLES) as server:
        yield server


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


@pytest.mark.parametrize('code', [None, 3001])
def test_close_answers_as_it_was_asked(server, code):
    with server.connect() as client:
        client.upgrade('/close')
        client.send(close(code))
        assert client.read_close() == code


def test_origin_check(server):
    assert server.answer(head('/origin_check', Origin='http://elsewhere')).startswith(b'HTTP/1.0 403 ')
    for origin in ('http://localhost', 'http://example.com'):
        with server.connect() as client:
            client.upgrade('/origin_check', Origin=origin)
            assert client.read_frame() == (0x81, b'Welcome, ' + origin.encode())


@pytest.mark.parametrize('wish, cookies', [
    ('set', [b'foo=bar; Max-Age=86400']), ('set_httponly', [b'httpOnlyFoo=bar; Max-Age=86400; HttpOnly']),
    ('clear', [b'foo=; Max-Age=0', b'httpOnlyFoo=; Max-Age=0']), ('', []),
])
def test_cookie(server, wish, cookies):
    with server.connect() as client:
        answer = client.upgrade('/cookie?' + wish, Cookie='brought=1')
        assert [line[12:] for line in answer.split(b'\r\n') if line.startswith(b'Set-Cookie: ')] == cookies
        assert client.read_frame() == (0x81, b'brought=1')


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


def test_bench(server):
    with server.connect() as client:
        client.upgrade('/bench')
        client.send(text('0.001 3 ' + 'x' * 200))
        assert [client.read_frame() for _ in range(3)] == [(0x81, b'x' * 200)] * 3
        assert client.read_close() == 1000


def test_benchmark_helper(server):
    with server.connect() as client:
        assert b'Extensions' not in client.upgrade('/benchmark_helper', Sec_WebSocket_Extensions='permessage-deflate')
        client.send(text('receive 5') + text('send 0') + masked(0x82, b'x' * 70000) + text('send 1'))
        client.send(masked(0x82, b'a' * 9))
        assert client.read_frame() == (0x82, b'aaaaa')
        assert client.read_frame() == (0x81, b'70000')
        assert client.read_frame() == (0x81, b'9')
        client.send(text('send 1') + masked(0x82, b'aab'))
        assert client.read_frame() is None
    assert 'of 3 bytes, 1 are not the ones that were sent' in server.log()


def said_by_echo_client(server, *options):
    command = [sys.executable, str(EXAMPLES / 'echo_client.py'), '-p', str(server.port), *options]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
                          env=dict(os.environ, PYTHONIOENCODING='utf-8'))


@pytest.mark.parametrize('options', [[], ['--use-permessage-deflate'], ['-r', '/echo_noext', '-o', 'http://here']])
def test_echo_client(server, options):
    said = said_by_echo_client(server, '-m', 'one,' + 'é' * 40000, *options)
    assert said.stdout == 'Send: one\nRecv: one\nSend: {0}\nRecv: {0}\nSend close\nRecv ack\n'.format('é' * 40000)
    assert said_by_echo_client(server, '-q', *options).stdout == ''


def test_echo_client_says_goodbye(server):
    said = said_by_echo_client(server, '-m', 'Goodbye')
    assert said.stdout == 'Send: Goodbye\nRecv: Goodbye\nRecv close\nSend ack\n'


def test_echo_client_fails_in_one_line(server):
    said = said_by_echo_client(server, '-r', '/origin_check')
    assert said.returncode == 1 and said.stdout == ''
    assert said.stderr == "echo_client: localhost:%d: the server answers 'HTTP/1.0 403 Forbidden'\n" % server.port


def test_the_certificate_serves_at_once(tmp_path):
    # Paths are relative to the document root.
    with serving(tmp_path, '-d', EXAMPLES.parent / 'html', '-w', '../python', '-t', '-k', '../tls/localhost.key',
                 '-c', '../tls/localhost.crt') as server:
        certificate = str(EXAMPLES.parent / 'tls' / 'localhost.crt')
        for options in (['-t'], ['-t', '--ca', certificate], ['-t', '--ca', certificate, '-s', '127.0.0.1']):
            assert said_by_echo_client(server, '-m', 'one', *options).stdout.startswith('Send: one\nRecv: one\n')
        # Nobody else has signed it.
        import trustme
        trustme.CA().cert_pem.write_to_path(str(tmp_path / 'other.pem'))
        said = said_by_echo_client(server, '-t', '--ca', str(tmp_path / 'other.pem'))
        assert said.returncode == 1 and said.stdout == '' and 'certificate verify failed' in said.stderr


def test_a_chat_reaches_all_and_a_member_who_does_not_read_delays_nobody(server):
    with server.connect() as ann, server.connect() as bob, server.connect() as stuck:
        ann.upgrade('/chat_async?ann')
        assert ann.read_frame() == (0x81, b'ann has come')
        bob.upgrade('/chat_async?bob')
        assert ann.read_frame() == bob.read_frame() == (0x81, b'bob has come')
        stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        stuck.upgrade('/chat_async?stuck')
        assert ann.read_frame() == bob.read_frame() == (0x81, b'stuck has come')
        for number in range(250):
            bob.send(text('%d' % number + 'x' * 100000))
            assert ann.read_frame() == bob.read_frame() == (0x81, b'bob: %d' % number + b'x' * 100000)
        bob.send(close(1000))
        assert bob.read_close() == 1000
        assert ann.read_frame() == (0x81, b'bob has left')
        # It is behind, not gone: what it has missed is the oldest.
        received = []
        while received[-1:] != [b'bob has left']:
            received.append(stuck.read_frame()[1])
        assert received[0] == b'stuck has come' and 100 <= len(received) < 252
        assert received[-2] == b'bob: 249' + b'x' * 100000
