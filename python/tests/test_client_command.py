"""``python -m linkspan``: connect and serve, through pipes."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from by_hand import peer
from conftest import ECHO, PATIENCE, Client, serve_module

CLOSES = '''
def web_socket_do_extra_handshake(request):
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[0]

def web_socket_transfer_data(request):
    request.ws_stream.send_message('hello %s' % request.headers_in.get('X'))
    request.ws_stream.send_message(b'\\x00\\xff', binary=True)
    request.ws_stream.close_connection(4001, 'enough')
'''

server = serve_module({'echo': ECHO, 'closes': CLOSES})


def run(*arguments, say=b'', **settings):
    """The program to its end: status, standard output, standard error."""
    ended = subprocess.run([sys.executable, '-m', 'linkspan', *arguments], input=say, capture_output=True,
                           timeout=PATIENCE, **settings)
    return ended.returncode, ended.stdout, ended.stderr.decode()


@pytest.fixture
def url(server):
    return 'ws://localhost:%d/echo' % server.port


@pytest.mark.parametrize('arguments, said', [
    (['--help'], 'usage: python -m linkspan COMMAND'),
    (['connect', '--help'], 'usage: python -m linkspan connect'),
    (['serve', '--help'], 'usage: python -m linkspan serve [DIR] [OPTIONS]'),
    (['serve', '--help'], '--websock-handlers'),
    (['--version'], 'linkspan 0'),
])
def test_help_and_version(arguments, said):
    status, output, errors = run(*arguments)
    assert (status, errors) == (0, '') and said in output.decode()


@pytest.mark.parametrize('arguments, said', [
    ([], 'usage: python -m linkspan COMMAND'),
    (['conect'], 'there is no command \'conect\'; connect and serve are'),
    (['connect'], 'URL'),
    (['connect', 'ws://a/', '--no-such'], '--no-such'),
    (['connect', 'ws://a/', '-H', 'X'], 'a header is written \'Name: value\''),
    (['connect', 'ws://a/', '-n', '0'], '--count is 1 or more'),
    (['connect', 'ws://a/', '--close', 'x'], 'a close is written CODE or CODE:REASON'),
    (['connect', 'ws://a/', '-H', 'Upgrade: x'], 'linkspan: the header "Upgrade" cannot be sent'),
    (['connect', 'gopher://a/'], 'linkspan: the URL\'s scheme is gopher'),
    (['connect', '-k', 'wss://a/'], 'certificates are always checked; to trust a server\'s own, name it with --ca FILE'),
])
def test_a_wrong_command_line(arguments, said):
    status, output, errors = run(*arguments)
    assert (status, output) == (2, b'')
    assert said in errors and (len(errors.splitlines()) == 1 or not arguments)


def test_lines_are_messages_and_the_end_of_the_input_closes():
    def handler(client):
        client.upgrade()
        assert [client.read_frame() for _ in range(4)] == [
            (0x81, b'first'), (0x81, b'one'), (0x81, 'zwölf'.encode()), (0x81, b'')]
        assert client.read_frame() == (0x81, b'last')
        assert client.read_frame() == (0x88, b'\x0b\xb8bye')
        client.send(b'\x88\x02\x0b\xb8')

    with peer(handler) as port:
        status, output, errors = run('connect', 'localhost:%d/' % port, '-x', 'first', '--close', '3000:bye',
                                     say='one\r\nzwölf\n\nlast'.encode())
    assert (status, output, errors) == (0, b'', '')


def test_one_message_is_awaited(url):
    assert run('connect', '-1', url, say=b'hello\n') == (0, b'hello\n', '')
    assert run('connect', '-n', '3', url, say=b'a\nb\nc\n') == (0, b'a\nb\nc\n', '')
    assert run('connect', '-w', '0.3', '-x', 'x', url) == (0, b'x\n', '')


def test_bytes_are_sent_and_written_as_they_are(url):
    assert run('connect', '-b', '-1', url, say=b'\x00\xff\n') == (0, b'\x00\xff\n', '')


def test_json_is_an_object_a_line(server):
    url = 'ws://localhost:%d/closes' % server.port
    status, output, errors = run('connect', '--json', '--wait', '-1', '-H', 'X: y', '-s', 'one', url)
    assert (status, errors) == (1, 'linkspan: closed by the server: 4001 enough\n')
    opened, text, binary, closed = [json.loads(line) for line in output.splitlines()]
    assert all(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', record.pop('time'))
               for record in (opened, text, binary, closed))
    assert (opened['type'], opened['url'], opened['protocol'], opened['status']) == ('open', url, 'one', 101)
    assert ['Sec-WebSocket-Protocol', 'one'] in opened['headers']
    assert text == {'type': 'text', 'data': 'hello y'}
    assert binary == {'type': 'binary', 'base64': 'AP8='}
    assert closed == {'type': 'close', 'code': 4001, 'reason': 'enough', 'clean': True, 'by': 'server'}


def test_verbose_shows_the_handshake_and_the_close(server):
    status, output, errors = run('connect', '-v', 'ws://localhost:%d/echo' % server.port)
    assert (status, output) == (0, b'')
    lines = errors.splitlines()
    assert lines[0].startswith('connected to ws://localhost:%d/echo (' % server.port)
    assert '  Upgrade: websocket' in lines and lines[-1] == 'closed: 1000'


def refuses(client):
    client.read_head()
    client.send(b'HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\nnot \x1b[2Jyou\n')


def breaks_off(client):
    client.upgrade()
    client.send(b'\x81\x01a')


@pytest.mark.parametrize('handler, output, said', [
    (refuses, b'', 'linkspan: the server answered 403 Forbidden: not \\x1b[2Jyou\n'),
    (breaks_off, b'a\n', 'linkspan: the connection broke: it ended without a closing handshake\n'),
])
def test_what_goes_wrong_is_one_sentence(handler, output, said):
    with peer(handler) as port:
        assert run('connect', '-w', '-1', 'ws://localhost:%d/' % port) == (1, output, said)


def test_nobody_listens():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        status, output, errors = run('connect', 'ws://127.0.0.1:%d/' % sock.getsockname()[1], '--json')
    assert status == 1
    assert errors.startswith('linkspan: cannot connect to 127.0.0.1:') and len(errors.splitlines()) == 1
    assert json.loads(output)['type'] == 'error'


def test_input_that_is_not_text(url):
    status, output, errors = run('connect', url, say=b'\xff\n')
    assert (status, errors) == (1, 'linkspan: a line of the input is not UTF-8; --binary sends bytes\n')
    status, output, errors = run('connect', '--max-message', '10', url, say=b'x' * 11)
    assert (status, errors) == (1, 'linkspan: a line of the input is longer than 10 bytes; --max-message allows more\n')


def test_a_reader_that_has_seen_enough_is_no_problem(url):
    program = 'yes | head -c 200000 | "%s" -m linkspan connect -w -1 %s | head -n 3; echo ${PIPESTATUS[2]}'
    ended = subprocess.run(['bash', '-c', program % (sys.executable, url)], capture_output=True, timeout=PATIENCE,
                           text=True)
    assert (ended.stdout, ended.stderr) == ('y\ny\ny\n0\n', '')


@contextlib.contextmanager
def started(*arguments, **settings):
    """The program while it runs, with pipes; what is left of it is ended, and nothing but an end is waited for."""
    # A shell's background job is born deaf to Ctrl-C, and so would its children be.
    program = subprocess.Popen([sys.executable, '-m', 'linkspan', *arguments], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **settings)
    too_late = threading.Timer(PATIENCE, program.kill)
    too_late.start()
    try:
        yield program
    finally:
        too_late.cancel()
        program.kill()
        program.communicate()


def test_ctrl_c_is_quiet_and_closes():
    def handler(client):
        client.upgrade()
        client.send(b'\x81\x02up')
        assert client.read_frame() == (0x88, b'\x03\xe8')
        client.send(b'\x88\x02\x03\xe8')

    with peer(handler) as port, started('connect', 'ws://localhost:%d/' % port) as program:
        assert program.stdout.readline() == b'up\n'
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130
        assert program.stderr.read() == b''


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as sock:
        return sock.getsockname()[1]


@pytest.mark.parametrize('arguments, directory', [(['handlers', '-p'], '.'), (['--port'], 'handlers')])
@pytest.mark.parametrize('is_named', [True, False], ids=['named', 'any'])
def test_serve_serves_a_directory(tmp_path, arguments, directory, is_named):
    (tmp_path / 'handlers').mkdir()
    (tmp_path / 'handlers' / 'echo_wsh.py').write_text(ECHO)
    (tmp_path / 'handlers' / 'page.txt').write_text('a page')
    port = free_port() if is_named else 0
    with started('serve', *arguments, str(port), cwd=tmp_path / directory) as program:
        said = re.fullmatch(r'listening on ws://localhost:(\d+)/', program.stdout.readline().decode().rstrip())
        assert said, program.communicate()
        assert port in (0, int(said.group(1)))
        port = int(said.group(1))
        assert run('connect', '-1', 'ws://localhost:%d/echo' % port, say=b'served\n') == (0, b'served\n', '')
        with Client(socket.create_connection(('localhost', port), PATIENCE)) as client:
            client.send(b'GET /page.txt HTTP/1.0\r\n\r\n')
            assert client.read_all().endswith(b'a page')
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == -signal.SIGINT
        assert b'Traceback' not in program.stderr.read()


def test_what_a_config_file_says_is_for_serve_too(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    (tmp_path / 'config').write_text('[pywebsocket]\nport = 0\nserver_host = 127.0.0.1\n')
    with started('serve', '--config', 'config', cwd=tmp_path) as program:
        said = program.stdout.readline().decode()
        assert re.fullmatch(r'listening on ws://127\.0\.0\.1:\d+/\n', said) and ':9998' not in said
        program.kill()


def test_serve_says_what_it_cannot_do():
    status, output, errors = run('serve', '.', '-p', 'x')
    assert (status, output) == (2, b'') and errors.splitlines()[1].startswith('python -m linkspan serve: error: ')
    status, output, errors = run('serve', '/no/such/directory')
    assert (status, output) == (1, b'') and '/no/such/directory' in errors and 'Traceback' not in errors
