"""The program: options, errors, signals, TLS, files and scripts."""

import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from conftest import ECHO, PATIENCE, close, head, masked, text

import mod_pywebsocket
import pywebsocket3
from mod_pywebsocket import standalone


def run(*options):
    """The program, in a directory without handlers, to its end: status and what it says."""
    with tempfile.TemporaryDirectory() as directory:
        finished = subprocess.run([sys.executable, '-m', 'mod_pywebsocket.standalone', *options], text=True,
                                  cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    return finished.returncode, finished.stdout


@pytest.mark.parametrize('options, named', [
    (['extra'], 'extra'),
    (['--no-such-option'], 'no-such-option'),
    (['-p', '70000'], '--port is 0 to 65535, not 70000'),
    (['-p', '-1'], '--port is 0 to 65535, not -1'),
    (['-H', 'nowhere.invalid'], 'nowhere.invalid'),
    (['-d', '/no/such/directory'], '/no/such/directory'),
    (['--config', '/no/such/file'], '/no/such/file'),
    (['-l', '/no/such/file', '-p', '0'], '/no/such/file'),
    (['-m', '/no/such/file', '-p', '0'], 'cannot read /no/such/file: No such file or directory'),
    (['-w', '.', '-s', '/', '-p', '0'], '/'),
    (['-t'], '--private-key'),
    (['-t', '-k', '/no/such/key', '-c', '/no/such/certificate', '-p', '0'], '/no/such/certificate'),
    (['--tls-client-auth'], '--tls-client-auth needs --tls'),
    (['--tls-client-cert-optional'], '--tls-client-cert-optional needs --tls'),
    (['-t', '-k', 'k', '-c', 'c', '--tls-client-cert-optional'], '--tls-client-cert-optional needs --tls-client-auth'),
    (['-t', '-k', 'k', '-c', 'c', '--tls-client-auth'], '--tls-client-auth needs --tls-client-ca'),
], ids=lambda value: ' '.join(value) if isinstance(value, list) else '')
def test_a_mistake_is_one_line_and_status_1(options, named):
    status, said = run(*options)
    assert status == 1 and named in said
    assert said.count('\n') == 1, said


def test_a_mistake_is_in_the_log_file_too(tmp_path):
    path = tmp_path / 'log'
    status, said = run('-l', str(path), '--queue', '-1')
    assert status == 1 and said.endswith('--queue is at least 0, not -1\n') and said.count('\n') == 1
    assert '--queue is at least 0' in path.read_text()


def test_argparse_has_its_own_status():
    assert run('-p', 'x')[0] == 2
    assert run('-h')[0] == 0


def test_a_port_in_use_is_named(start):
    server = start({'echo': ECHO})
    status, said = run('-p', str(server.port), '-H', 'localhost')
    assert status == 1 and str(server.port) in said and said.count('\n') == 1
    assert 'end the program that listens there, or choose another port with --port' in said


def test_a_handler_that_cannot_be_read_ends_the_start(tmp_path):
    (tmp_path / 'gone_wsh.py').symlink_to('nowhere')
    status, said = run('-p', '0', '-w', str(tmp_path))
    assert status == 1 and said.count('\n') == 1
    assert 'cannot read %s: No such file or directory' % (tmp_path / 'gone_wsh.py') in said
    (tmp_path / 'gone_wsh.py').unlink()
    (tmp_path / 'latin_wsh.py').write_bytes(b'# caf\xe9\n')
    status, said = run('-p', '0', '-w', str(tmp_path), '--handler-encoding', 'utf-8')
    assert status == 1 and said.count('\n') == 1
    assert 'in line 1 of %s; --handler-encoding names' % (tmp_path / 'latin_wsh.py') in said


@pytest.mark.parametrize('option', ['-w', '-s'])
@pytest.mark.parametrize('name', ['missing', 'echo_wsh.py'])
def test_handlers_that_are_in_no_directory_are_missed_aloud(start, tmp_path, option, name):
    options = [option, str(tmp_path / name)]
    server = start({'echo': ECHO}, *options)
    assert server.answer(head('/echo')).startswith(b'HTTP/1.0 404 ')
    assert '%s is no directory, so there are no handlers' % (tmp_path / name) in server.log()


def test_usage_is_short():
    status, said = run('-p', 'x')
    assert said.splitlines() == [
        'usage: standalone [OPTIONS]', 'standalone: error: argument -p/--port: invalid int value: \'x\'']


def test_a_bad_handler_does_not_keep_the_others_from_serving(start):
    server = start({'echo': ECHO, 'bad': 'def x(:'})
    with server.connect() as client:
        client.upgrade()
    assert server.answer(head('/bad')).startswith(b'HTTP/1.0 404 ')
    assert 'bad_wsh.py' in server.log() and 'SyntaxError' in server.log()


@pytest.mark.parametrize('package', [mod_pywebsocket, pywebsocket3])
def test_run_by_its_path(package, tmp_path):
    # Its directory has modules whose names are also others'.
    (tmp_path / 'echo_wsh.py').write_text('import importlib.util\nassert not importlib.util.find_spec("memorizingfile")\n'
                                          + ECHO)
    process = subprocess.Popen([sys.executable, 'standalone.py', '-p', '0', '-w', str(tmp_path)],
                               cwd=package.__path__[0], stdout=subprocess.PIPE, text=True)
    try:
        port = re.fullmatch(r'listening on ws://localhost:(\d+)/\n', process.stdout.readline()).group(1)
        with socket.create_connection(('localhost', int(port)), PATIENCE) as sock:
            sock.sendall(head())
            assert sock.recv(12) == b'HTTP/1.1 101'
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_other_name_runs_too(start):
    server = start({'echo': ECHO}, module='pywebsocket3.standalone')
    with server.connect() as client:
        client.upgrade()


def test_a_config_file(tmp_path):
    path = tmp_path / 'config'
    path.write_text('[pywebsocket]\nport = 1234\nlog-level = info\ntls = on\nunknown = x\nserver_host = h%h\n')
    options, rest = standalone._parse_args_and_config(['--config', str(path), '-p', '99'])
    assert (options.port, options.log_level, options.use_tls, options.server_host, rest) == (99, 'info', True, 'h%h', [])


def test_the_page_of_limits_has_the_defaults():
    page = (Path(__file__).parents[2] / 'docs' / 'limits.md').read_text()
    rows = re.findall(r'^\| `(--[^`]*)` \| `(\w+)` \| (\d+) \|', page, re.MULTILINE)
    assert len(rows) >= 7
    parser = standalone._build_option_parser()
    options = parser.parse_args([])
    for option, attribute, default in rows:
        assert parser._option_string_actions[option].dest == attribute
        assert getattr(options, attribute) == int(default), option
    assert {'max_message_bytes', 'close_timeout', 'ping_interval', 'idle_timeout'} <= {row[1] for row in rows}


def test_defaults():
    options, rest = standalone._parse_args_and_config([])
    assert rest == []
    expected = dict(
        config_file=None, server_host='', validation_host=None, port=80, validation_port=None, websock_handlers='.',
        websock_handlers_map_file=None, scan_dir=None, allow_handlers_outside_root_dir=False, document_root='.',
        cgi_paths=None, use_tls=False, private_key='', certificate='', tls_client_auth=False,
        tls_client_cert_optional=False, tls_client_ca='', use_basic_auth=False, basic_auth_credential='test:test',
        log_file='', log_level='warn', deflate_log_level='warn', thread_monitor_interval_in_sec=-1, log_max=262144,
        log_count=5, request_queue_size=128, handler_encoding=None)
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize('option', ['--allow-draft75', '--strict', '--tls-module=ssl'])
def test_what_is_obsolete_is_warned_of(start, option):
    server = start({'echo': ECHO}, option)
    with server.connect() as client:
        client.upgrade()
    assert server.log().count('obsolete') == 1


def test_threads_are_logged_now_and_then(start):
    server = start({'echo': ECHO}, '--thread-monitor-interval-in-sec', '1', '--log-level', 'info')
    deadline = time.monotonic() + PATIENCE
    while len(re.findall(r'ThreadMonitor: \d+ active threads: MainThread', server.log())) < 2:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)  # between two looks


LEVELS = '''
import logging

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    for name in ('_Deflater', '_Inflater'):
        request.ws_stream.send_message(logging.getLevelName(logging.getLogger('mod_pywebsocket.util.' + name).level))
'''


def test_a_log_file_is_rotated_and_compression_has_a_level_of_its_own(start, tmp_path):
    path = tmp_path / 'the.log'
    server = start({'levels': LEVELS}, '-l', str(path), '--log-max', '500', '--log-count', '2', '--log-level', 'debug',
                   '--deflate-log-level', 'error')
    for _ in range(5):
        with server.connect() as client:
            client.upgrade('/levels')
            assert [client.read_frame()[1] for _ in range(2)] == [b'ERROR'] * 2
    server.stop()
    assert sorted(path.name for path in tmp_path.glob('the.log*')) == ['the.log', 'the.log.1', 'the.log.2']
    assert (tmp_path / 'the.log.1').stat().st_size < 2000


def test_basic_authentication(start):
    server = start({'echo': ECHO}, '--basic-auth', '--basic-auth-credential', 'me:secret')
    for request in (head(), head(Authorization='Basic dGVzdDp0ZXN0'), head('/nothing'),
                    head(Authorization='Basic bWU6c2VjcmV0 '), head(Authorization='Basic \xe9')):
        status, _, rest = server.answer(request).partition(b'\r\n')
        assert status == b'HTTP/1.0 401 Unauthorized'
        assert b'\r\nWWW-Authenticate: Basic realm="Pywebsocket"\r\n' in rest and rest.endswith(b'\r\n\r\n')
    with server.connect() as client:
        client.upgrade(Authorization='Basic bWU6c2VjcmV0')


def test_absolute_uris_are_validated(start):
    server = start({'echo': ECHO}, '-V', 'here', '-P', '81')
    for resource, status in (('ws://here:81/echo', b'HTTP/1.1 101'), ('ws://there:81/echo', b'HTTP/1.0 404'),
                             ('ws://here/echo', b'HTTP/1.0 404'), ('/echo', b'HTTP/1.1 101')):
        with server.connect() as client:
            client.send(head(resource))
            assert client.read_head().startswith(status)


def test_messages_have_a_limit(start):
    server = start({'echo': ECHO}, '--max-message-bytes', '1000')
    with server.connect() as client:
        client.upgrade()
        client.send(text('x' * 1000))
        assert client.read_frame() == (0x81, b'x' * 1000)
        client.send(text('x' * 1001))
        assert client.read_close() == 1009
        assert client.read_all() == b''
    with server.connect() as client:
        client.upgrade()
        # It is refused before it comes, and nobody waits for an answer behind it.
        client.send(masked(0x82, length=1001))
        assert client.read_close() == 1009
        assert client.read_all() == b''


# TLS.


def test_tls(start, certificates, trusting):
    server = start({'echo': ECHO.replace('    pass', '    assert request.is_https()')},
                   '-t', '-k', certificates['server_key'], '-c', certificates['server'])
    with server.connect(trusting) as client:
        client.upgrade()
        for message in ('hello', 'x' * 200000):
            client.send(text(message))
            assert client.read_frame() == (0x81, message.encode())
        client.send(close(1000))
        assert client.read_close() == 1000
        assert client.read_all() == b''


def test_a_silent_tls_client_keeps_nobody_waiting(start, certificates, trusting):
    server = start({'echo': ECHO}, '-t', '-k', certificates['server_key'], '-c', certificates['server'])
    with server.connect(), server.connect(trusting) as client:
        client.upgrade()


def test_clients_show_certificates(start, certificates, trusting):
    tls = ['-t', '-k', certificates['server_key'], '-c', certificates['server'], '--tls-client-auth',
           '--tls-client-ca', certificates['ca']]
    server = start({'echo': ECHO}, *tls)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        with server.connect(trusting) as client:
            client.upgrade()
    trusting.load_cert_chain(certificates['client'], certificates['client_key'])
    with server.connect(trusting) as client:
        client.upgrade()


def test_certificates_of_clients_may_be_optional(start, certificates, trusting):
    server = start({'echo': ECHO}, '-t', '-k', certificates['server_key'], '-c', certificates['server'],
                   '--tls-client-auth', '--tls-client-cert-optional', '--tls-client-ca', certificates['ca'])
    with server.connect(trusting) as client:
        client.upgrade()


# Files and scripts.


def get(path, method='GET', **headers):
    return head(path, method=method, protocol='HTTP/1.0', drop=['Upgrade', 'Connection'], **headers)


def test_files(start, tmp_path):
    (tmp_path / 'page.html').write_text('<p>page')
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'index.html').write_text('<p>index')
    server = start({'echo': ECHO})
    answer = server.answer(get('/page.html'))
    assert re.match(rb'HTTP/1.0 200 OK\r\nServer: SimpleHTTP[ /]', answer) and answer.endswith(b'\r\n\r\n<p>page')
    assert b'\r\nContent-type: text/html\r\n' in answer and b'\r\nLast-Modified: ' in answer
    assert server.answer(get('/page.html', 'HEAD')).endswith(b'\r\n\r\n')
    assert server.answer(get('/sub')).startswith(b'HTTP/1.0 301 ')
    assert server.answer(get('/sub/')).endswith(b'<p>index')
    assert b'page.html' in server.answer(get('/'))
    assert server.answer(get('/none')).startswith(b'HTTP/1.0 404 ')
    assert server.answer(get('/page.html', 'POST')).startswith(b'HTTP/1.0 501 ')
    assert server.answer(get('/page.html', 'PUT')).startswith(b'HTTP/1.0 501 ')
    assert server.answer(get('/' + 'x' * 70000)).startswith(b'HTTP/1.0 414 ')
    assert server.answer(get('/', X='y' * 70000)).startswith(b'HTTP/1.0 431 ')
    assert server.answer(get('/', **{'X_%d' % n: 'y' for n in range(101)})).startswith(b'HTTP/1.0 431 ')


@pytest.mark.parametrize('path', ['/../secret', '/%2e%2e/secret', '/sub/../../secret', '//../secret', '/..%2fsecret'])
def test_files_stay_inside_the_root(start, tmp_path, path):
    (tmp_path / 'root').mkdir()
    (tmp_path / 'secret').write_text('SECRET')
    server = start({'echo': ECHO}, '-d', str(tmp_path / 'root'))
    answer = server.answer(get(path))
    assert answer.startswith(b'HTTP/1.0 404 ') and b'SECRET' not in answer


SCRIPT = '''#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s|%s|%s|%s|' "$REQUEST_METHOD" "$QUERY_STRING" "$SCRIPT_NAME" "$HTTP_X_TEST"
printf '%s|' "$SECRET"
cat
'''


def test_scripts(start, readable_path, monkeypatch):
    monkeypatch.setenv('SECRET', 'inherited')
    # Scripts run as nobody when the server is root.
    (readable_path / 'bin').mkdir()
    (readable_path / 'bin' / 'run').write_text(SCRIPT)
    (readable_path / 'bin' / 'run').chmod(0o755)
    (readable_path / 'bin' / 'plain').write_text('source')
    server = start({'echo': ECHO}, '-x', '/bin', '-d', str(readable_path))
    answer = server.answer(get('/bin/run?a=b&c', X_Test='one'))
    assert answer.startswith(b'HTTP/1.0 200 Script output follows\r\n')
    assert answer.endswith(b'\r\n\r\nGET|a=b&c|/bin/run|one||')
    answer = server.answer(get('/bin/run', 'POST', Content_Length='4') + b'body')
    assert answer.endswith(b'\r\n\r\nPOST||/bin/run|||body')
    assert server.answer(get('/bin/plain')).endswith(b'source')
    assert server.answer(get('/bin/run/more')).startswith(b'HTTP/1.0 404 ')
    assert server.answer(get('/bin/run', 'POST', Content_Length='x')).startswith(b'HTTP/1.0 400 ')


# Many at once.


def test_threads_are_used_again_and_none_waits_for_another(start):
    server = start({
        'echo': ECHO.replace('while True', 'import threading\n    while True').replace(
            'message, binary', "str(threading.active_count()) if message == 'threads' else message, binary")})
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        client.upgrade()
    for number, client in reversed(list(enumerate(clients))):
        client.send(text(str(number)))
        assert client.read_frame() == (0x81, str(number).encode())
    for client in clients[1:]:
        client.send(close(1000))
        assert client.read_close() == 1000 and client.read_all() == b''
    for _ in range(100):
        with server.connect() as client:
            client.upgrade()
    clients[0].send(text('threads'))
    assert int(clients[0].read_frame()[1]) <= 210
    for client in clients:
        client.sock.close()


def test_a_reader_that_does_not_read_delays_only_itself(start):
    server = start({'echo': ECHO})
    with server.connect() as stuck, server.connect() as client:
        stuck.upgrade()
        flood = threading.Thread(target=_flood, args=(stuck,), daemon=True)
        flood.start()
        client.upgrade()
        for _ in range(50):
            client.send(text('quick'))
            assert client.read_frame() == (0x81, b'quick')
    flood.join(PATIENCE)


def _flood(client):
    try:
        for _ in range(200):
            client.send(text('x' * 100000))
    except OSError:
        pass


@pytest.mark.parametrize('name', ['pywebsocket3-4.0.2.dist-info', 'pywebsocket3-4.0.2-py3.11.egg-info',
                                  'mod_pywebsocket-0.7.9.dist-info'])
def test_the_original_beside_us_is_warned_of(start, tmp_path, monkeypatch, name):
    # Wherever Python looks for packages: an environment's, the user's, PYTHONPATH.
    site = tmp_path / 'site'
    (site / name).mkdir(parents=True)
    assert start({'echo': ECHO}).log() == ''
    monkeypatch.setenv('PYTHONPATH', str(site))
    warning, = start({'echo': ECHO}).log().splitlines()
    original = name.partition('-')[0]
    assert '[WARNING]' in warning and str(site) in warning
    assert ' -m pip uninstall %s"' % original in warning
