"""Files and CGI scripts, and who attacks through them."""

import contextlib
import os
import socket
import struct
import threading

import pytest
from conftest import ECHO, PATIENCE, Client, head
from test_standalone import get

SOURCE = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n'


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def scripts(start, readable_path):
    """``scripts({'name': lines of sh})``: a server with these scripts in ``/bin``, and the root."""
    def serve(sources, *options):
        for name, lines in sources.items():
            write(readable_path / 'root' / 'bin' / name, SOURCE + lines, 0o755)
        root = readable_path / 'root'
        root.chmod(0o755)
        return start({'echo': ECHO}, '-x', '/bin', '-d', str(root), *options), root

    return serve


def connect(server):
    return Client(socket.create_connection(('127.0.0.1', server.server_port), PATIENCE))


def status(answer):
    assert answer.startswith(b'HTTP/1.0 '), answer
    return int(answer.split()[1])


# Files.


@pytest.mark.parametrize('path', ['/%00', '/page.html%00', '/page.html%00.txt', '/sub/%00/',
                                  '/%ed%a0%80', '/%ff', '/\x00'])
def test_what_can_be_no_name_of_a_file_is_not_found(start, tmp_path, path):
    write(tmp_path / 'page.html', 'page')
    server = start({'echo': ECHO})
    assert status(server.answer(get(path))) == 404
    assert 'Traceback' not in server.log()


@pytest.mark.parametrize('path', ['/pipe', '/zero', '/pipe?x', '/./pipe'])
def test_what_is_no_file_is_not_opened(start, tmp_path, path):
    # Nobody writes into it: who opens it waits.
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'zero').symlink_to('/dev/zero')
    server = start({'echo': ECHO})
    with server.connect() as client:
        client.send(get(path))
        assert status(client.read_head()) == 404


@pytest.mark.parametrize('path', ['/..\\secret', '/%5c..%5csecret', '/..%5csecret', '/%252e%252e/secret',
                                  '/.%2e/secret', '/sub/..%2f..%2fsecret', '/....//secret', '/..;/secret', '/..%00/secret',
                                  '/%c0%ae%c0%ae/secret',
                                  'http://localhost/../secret', '../secret', 'file:///../secret',
                                  '//secret/..%2f..%2fsecret'])
def test_no_path_leads_out_of_the_root(start, tmp_path, path):
    write(tmp_path / 'root' / 'page.html', 'page')
    write(tmp_path / 'secret', 'SECRET')
    server = start({'echo': ECHO}, '-d', str(tmp_path / 'root'))
    answer = server.answer(get(path))
    assert status(answer) in (301, 404) and b'SECRET' not in answer
    assert 'Traceback' not in server.log()


def test_links_of_files_are_followed_as_ever(start, tmp_path):
    # Who makes a link in the root means it.
    write(tmp_path / 'elsewhere', 'text')
    (tmp_path / 'root').mkdir()
    (tmp_path / 'root' / 'link').symlink_to(tmp_path / 'elsewhere')
    server = start({'echo': ECHO}, '-d', str(tmp_path / 'root'))
    assert server.answer(get('/link')).endswith(b'text')


@pytest.mark.parametrize('headers, expected', [
    ({'If_Modified_Since': 'Fri, 01 Jan 2100 00:00:00 GMT'}, 304),
    ({'If_Modified_Since': 'Fri, 01 Jan 1999 00:00:00 GMT'}, 200),
    ({'If_Modified_Since': 'Fri, 01 Jan 99999 00:00:00 GMT'}, 200),
    ({'If_Modified_Since': '\xff' * 1000}, 200),
    ({'If_Modified_Since': ''}, 200),
    ({'Range': 'bytes=0-0'}, 200),
    ({'Range': 'bytes=-99999999999999999999'}, 200),
], ids=str)
def test_headers_of_files(start, tmp_path, headers, expected):
    write(tmp_path / 'page.html', 'page')
    server = start({'echo': ECHO})
    answer = server.answer(get('/page.html', **headers))
    assert status(answer) == expected and answer.endswith(b'page') == (expected == 200)
    assert 'Traceback' not in server.log()


# Which script runs.


@pytest.mark.parametrize('path, expected', [
    ('/bin/run', 200), ('//bin/run', 200), ('/./bin/run', 200), ('/bin/./run', 200), ('/bin//run', 200),
    ('/bin%2frun', 200), ('/bin/r%75n', 200), ('/bin/run#part', 200), ('/bin/run?a#b', 200), ('/x/../bin/run', 404),
    ('/bin/../bin/run', 404), ('/bin/%2e%2e/bin/run', 404), ('/bin/..%2fbin%2frun', 404), ('/x/..%2fbin/run', 404),
    ('/bin/run/', 404), ('/bin/run/more', 404), ('/bin/run%00', 404), ('/bin/run;x', 404), ('/BIN/run', 404), ('/bin/link', 403),
    ('/bin/inside', 200),
])
def test_a_script_is_run_or_refused_but_never_shown(scripts, readable_path, path, expected):
    server, root = scripts({'run': 'echo ran\n'})
    write(readable_path / 'outside', SOURCE + 'echo outside\n', 0o755)
    (root / 'bin' / 'link').symlink_to('../../outside')
    (root / 'bin' / 'inside').symlink_to('run')
    answer = server.answer(get(path))
    assert status(answer) == expected
    assert b'#!' not in answer and b'outside\n' not in answer
    assert answer.endswith(b'\r\n\r\nran\n') == (expected == 200)


# What it gets.


def test_the_environment_is_not_the_clients_to_write(scripts):
    server, _ = scripts({'env': 'env\n'})
    request = head('/bin/env', protocol='HTTP/1.0', drop=['Upgrade', 'Connection'], X_A='good')
    request = request.replace(b'\r\n\r\n', b''.join([
        b'\r\nX_A: spoofed', b'\r\nProxy: evil', b'\r\nPROXY: evil', b'\r\nA=B: evil', b'\r\nA(B): evil',
        b'\r\nAuthorization: evil', b'\r\nLD_PRELOAD: evil', b'\r\nPATH: ours', b'\r\n\r\n']))
    answer = server.answer(request)
    assert status(answer) == 200 and b'spoofed' not in answer and b'evil' not in answer
    assert b'\nHTTP_X_A=good\n' in answer and b'\nHTTP_PATH=ours\n' in answer and b'\nPATH=ours\n' not in answer


@pytest.mark.parametrize('request_', [
    get('/bin/env', X='a\0b'), get('/bin/env?a\0b'), get('/bin/env', Content_Type='a\0'),
], ids=['header', 'query', 'type'])
def test_a_nul_reaches_no_script(scripts, request_):
    server, _ = scripts({'env': 'env\n'})
    assert status(server.answer(request_)) == 400
    assert 'Traceback' not in server.log()


def test_a_script_of_the_superusers_server_has_no_power(scripts):
    server, _ = scripts({'id': 'id -u; id -g; id -G\n'})
    if os.getuid() != 0:
        pytest.skip('only a server of the superuser lends itself to another')
    import pwd
    nobody = pwd.getpwnam('nobody')
    assert server.answer(get('/bin/id')).endswith(b'\r\n\r\n%d\n%d\n%d\n' % (
        nobody.pw_uid, nobody.pw_gid, nobody.pw_gid))


@pytest.mark.parametrize('headers, body, expected', [
    ('Content-Length: 4', b'body', 200),
    ('Content-Length: 4', b'body and what is not read', 200),
    ('Content-Length: 4\r\nContent-Length: 4', b'body', 200),
    ('Content-Length: 4\r\nContent-Length: 5', b'body5', 400),
    ('Content-Length: 4, 4', b'body', 400),
    ('Content-Length: -4', b'body', 400),
    ('Content-Length: +4', b'body', 400),
    ('Content-Length: 0_4', b'body', 400),
    ('Content-Length: 0x4', b'body', 400),
    ('Content-Length: 4.0', b'body', 400),
    ('Content-Length: \xb2', b'body', 400),
    ('Content-Length:', b'', 400),
    ('Content-Length: 16777217', b'', 413),
    ('Content-Length: 99999999999999999999', b'', 413),
    ('Content-Length: ' + '9' * 5000, b'', 413),
    ('Transfer-Encoding: chunked', b'4\r\nbody\r\n0\r\n\r\n', 411),
    ('Content-Length: 4\r\nTransfer-Encoding: chunked', b'4\r\nbody\r\n0\r\n\r\n', 411),
    ('Content-Length: 4\r\nTransfer-Encoding: identity', b'body', 411),
], ids=lambda value: value[:40] if isinstance(value, str) else '')
def test_a_body_has_one_length(scripts, headers, body, expected):
    server, _ = scripts({'cat': 'cat; echo\n'})
    answer = server.answer(('POST /bin/cat HTTP/1.0\r\n%s\r\n\r\n' % headers).encode('latin-1') + body)
    assert status(answer) == expected
    if expected == 200:
        assert answer.endswith(b'\r\n\r\nbody\n')
    assert 'Traceback' not in server.log()


def test_a_body_that_ends_early_reaches_no_script(scripts):
    server, root = scripts({'cat': 'cat\n'})
    answer = server.exchange(b'POST /bin/cat HTTP/1.0\r\nContent-Length: 10\r\n\r\nbody')
    assert status(answer) == 400


def test_a_body_has_a_deadline(embed, tmp_path, monkeypatch):
    from mod_pywebsocket import _cgi
    monkeypatch.setattr(_cgi, '_BODY_SECONDS', 0.3)
    write(tmp_path / 'bin' / 'cat', SOURCE + 'cat\n', 0o755)
    server = embed(cgi_directories=['/bin'])
    monkeypatch.chdir(tmp_path)
    with connect(server) as client:
        client.send(b'POST /bin/cat HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n')
        ended = threading.Event()

        def trickle():
            while not ended.wait(0.02):
                try:
                    client.send(b'x')
                except OSError:
                    return

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            assert status(client.read_head()) == 408
        finally:
            ended.set()
            trickling.join()


# What it says.


def test_what_a_script_prints_leaves_as_it_comes(scripts):
    # The second part waits for what the client does with the first.
    server, root = scripts({'parts': 'echo first; read -r line < %s; echo "$line"\n' % '../root/bin/pipe'})
    os.mkfifo(root / 'bin' / 'pipe')
    (root / 'bin' / 'pipe').chmod(0o666)
    with server.connect() as client:
        client.send(get('/bin/parts'))
        while b'first\n' not in client.buffer:
            client.buffer += client.sock.recv(65536)
        with open(root / 'bin' / 'pipe', 'w') as pipe:
            pipe.write('second\n')
        assert client.read_all().endswith(b'\r\n\r\nfirst\nsecond\n')


def test_a_script_that_prints_without_end_takes_no_memory(scripts):
    server, _ = scripts({'yes': 'exec yes\n'})
    before = resident_bytes(server)
    with server.connect() as client:
        client.send(get('/bin/yes'))
        for _ in range(1000):
            assert len(client.read(65536)) == 65536
        assert resident_bytes(server) - before < 8 << 20


def resident_bytes(server):
    with open('/proc/%d/statm' % server.process.pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


# The script holds a pipe open for writing as long as it, or what it has started, lives.
NEVER = 'exec 3> %s; echo 1; sleep 60 & wait\n'


@contextlib.contextmanager
def lives(root):
    """The descriptor of a pipe that a script opens; at its end nobody is left who has it."""
    path = root / 'alive'
    os.mkfifo(path)
    path.chmod(0o666)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield path
        os.set_blocking(fd, True)
        ended = threading.Event()

        def read():
            assert os.read(fd, 1) == b''
            ended.set()

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        assert ended.wait(PATIENCE), 'the script goes on'
    finally:
        os.close(fd)


@pytest.mark.parametrize('how', ['reset', 'server ends'])
def test_a_script_ends_with_its_client_and_its_server(scripts, readable_path, how):
    server, root = scripts({'never': NEVER % (readable_path / 'alive')})
    with lives(readable_path):
        client = server.connect()
        client.send(get('/bin/never'))
        client.read_head()
        assert client.read(2) == b'1\n'
        if how == 'reset':
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            client.sock.close()
        else:
            server.process.terminate()
            client.read_all()
            client.sock.close()


def test_a_script_may_go_on_for_a_while_after_its_client_has_said_all(embed, readable_path, monkeypatch):
    from mod_pywebsocket import _cgi
    write(readable_path / 'bin' / 'never', SOURCE + NEVER % (readable_path / 'alive'), 0o755)
    write(readable_path / 'bin' / 'cat', SOURCE + 'cat; echo done\n', 0o755)
    monkeypatch.chdir(readable_path)
    server = embed(cgi_directories=['/bin'])
    with connect(server) as client:
        client.send(get('/bin/cat'))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all().endswith(b'done\n')
    monkeypatch.setattr(_cgi, '_ALONE_SECONDS', 0.3)
    with lives(readable_path), connect(server) as client:
        client.send(get('/bin/never'))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all()
