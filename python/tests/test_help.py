"""What ``help`` shows is true: its handlers, commands and examples are run as they stand there."""

import doctest
import importlib
import inspect
import pkgutil
import pydoc
import re
import ssl
import subprocess
import textwrap

import mod_pywebsocket
import pytest
from conftest import Server, close, head, masked, text

PLACES = ['mod_pywebsocket'] + sorted(
    info.name for info in pkgutil.walk_packages(mod_pywebsocket.__path__, 'mod_pywebsocket.'))


def blocks(documented):
    """The indented blocks that follow ``::`` in a docstring."""
    found = re.findall(r'::\n\n((?: {4}.*\n|\n)+)', inspect.getdoc(documented) + '\n')
    return [textwrap.dedent(block).strip() + '\n' for block in found]


HANDLERS = {re.match(r'# (\w+)_wsh\.py\n', block).group(1): block
            for block in blocks(mod_pywebsocket) if block.startswith('# ')}


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp('help')
    for name, source in HANDLERS.items():
        (directory / (name + '_wsh.py')).write_text(source)
    server = Server(directory, '--log-level=debug')
    yield server
    server.stop()


def test_each_handler_is_tried_below():
    assert sorted(HANDLERS) == ['chat', 'clock', 'echo', 'login', 'polite', 'typed', 'wrong']


def test_no_handler_has_a_warning(server):
    with server.connect() as client:
        client.upgrade('/echo')
    assert 'Warning' not in server.log()


def test_echo(server):
    with server.connect() as client:
        client.upgrade('/echo')
        client.send(text('hello') + masked(0x82, b'\x00'))
        assert [client.read_frame(), client.read_frame()] == [(0x81, b'hello'), (0x82, b'\x00')]
        client.send(close(1000))
        assert client.read_close() == 1000


def test_the_client(server, capsys):
    block, = [block for block in blocks(mod_pywebsocket) if block.startswith('import linkspan')]
    exec(block.replace('9998', str(server.port)), {})
    assert capsys.readouterr().out == 'hello\n'


def test_chat(server):
    with server.connect() as first, server.connect() as second:
        for client in (first, second):
            client.upgrade('/chat')
            client.send(text('here'))
            assert client.read_frame() == (0x81, b'here')
        assert first.read_frame() == (0x81, b'here')
        first.send(text('hello'))
        assert first.read_frame() == second.read_frame() == (0x81, b'hello')


def test_clock(server):
    with server.connect() as client:
        client.upgrade('/clock')
        assert [client.read_frame(), client.read_frame()] == [(0x81, b'tick 1'), (0x81, b'tick 2')]
        client.send(text('stop'))
        after = (frame for frame in iter(client.read_frame, None) if frame[0] != 0x81)
        assert next(after) == (0x88, b'\x03\xe8')


def test_login(server):
    assert server.answer(head('/login', Origin='http://elsewhere')).startswith(b'HTTP/1.0 403 ')
    assert server.answer(head('/login', Sec_WebSocket_Protocol='other')).startswith(b'HTTP/1.0 400 ')
    with server.connect() as client:
        answer = client.upgrade('/login', Sec_WebSocket_Protocol='chat.v0, chat.v1', Cookie='a=b',
                                Sec_WebSocket_Extensions='permessage-deflate')
        assert b'\r\nSec-WebSocket-Protocol: chat.v1\r\n' in answer
        assert b'\r\nSet-Cookie: id=1234; ' in answer
        assert b'Sec-WebSocket-Extensions' not in answer
        assert client.read_frame() == (0x81, b'Welcome')
    with server.connect() as client:
        assert b'Set-Cookie' not in client.upgrade('/login', Cookie='id=1234')
        assert client.read_frame() == (0x81, b'Welcome back')


@pytest.mark.parametrize('sent, answer', [
    (text('you'), b'\x0f\xa0I have heard you'), (close(), b''), (close(3001, 'why'), b'\x0b\xb9why')])
def test_polite(server, sent, answer):
    with server.connect() as client:
        client.upgrade('/polite')
        client.send(sent)
        assert client.read_frame() == (0x88, answer)


def test_wrong(server):
    assert server.answer(head('/wrong?answer')) == (
        b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: nonsense\r\n\r\n')
    with server.connect() as client:
        client.upgrade('/wrong')
        assert client.read_all() == b'\xa1\x02\xc3\x28' + b'\x09\x04half' + b'\x88\x08\x03\xe9enough'


def test_typed(server):
    with server.connect() as client:
        client.upgrade('/typed?here')
        assert client.read_frame() == (0x81, b'/typed?here')


def test_closings(start):
    closings = re.findall(r'^``(stream|handshake)\.(\w+)``\n    (\d+)?', inspect.getdoc(mod_pywebsocket), re.M)
    assert len(closings) == 7
    handlers = {name: '''
from mod_pywebsocket import handshake, stream
def web_socket_do_extra_handshake(request):
    pass
def web_socket_transfer_data(request):
    raise %s.%s('on purpose')
''' % (module, name) for module, name, _ in closings}
    server = start(handlers)
    for _, name, code in closings:
        with server.connect() as client:
            client.upgrade('/' + name)
            assert client.read_close() == int(code or 1006)


def test_tls(tmp_path):
    command, = [block for block in blocks(mod_pywebsocket) if block.startswith('openssl')]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, stderr=subprocess.DEVNULL)
    options, = re.findall('``(-t .*?)``', inspect.getdoc(mod_pywebsocket))
    (tmp_path / 'echo_wsh.py').write_text(HANDLERS['echo'])
    server = Server(tmp_path, *options.split())
    try:
        with server.connect(ssl.create_default_context(cafile=str(tmp_path / 'certificate.pem'))) as client:
            client.upgrade('/echo')
    finally:
        server.stop()


def test_the_type_for_requests(start):
    plain, own = blocks(mod_pywebsocket.Request)
    accepts = '\ndef web_socket_do_extra_handshake(request):\n    pass\n'
    talks = '\ndef web_socket_transfer_data(request):\n    request.ws_stream.send_message(request.nickname)\n'
    server = start({'plain': plain + accepts, 'own': plain.partition('\n')[0] + '\n' + own + talks})
    for resource, said in (('/plain', b'Hello'), ('/own', b'anonymous')):
        with server.connect() as client:
            client.upgrade(resource)
            assert client.read_frame() == (0x81, said)


def test_a_receiver(start):
    block, = blocks(importlib.import_module('mod_pywebsocket.msgutil'))
    accepts = 'import time\nfrom mod_pywebsocket import msgutil\ndef web_socket_do_extra_handshake(request):\n    pass\n'
    with start({'receiver': accepts + block}).connect() as client:
        client.upgrade('/receiver')
        assert client.read_frame() == (0x81, b'nothing new')
        client.send(text('this'))
        assert (0x81, b'new: this') in iter(client.read_frame, None)


def test_embedding(tmp_path, monkeypatch, capsys):
    block, = blocks(importlib.import_module('mod_pywebsocket.websocket_server'))
    (tmp_path / 'that_directory').mkdir()
    (tmp_path / 'that_directory' / 'echo_wsh.py').write_text(HANDLERS['echo'])
    monkeypatch.chdir(tmp_path)
    answers = []

    def ask(port):
        import socket
        with socket.create_connection(('localhost', port)) as sock:
            sock.sendall(head('/echo'))
            answers.append(sock.recv(12))

    exec(block.replace('...', 'ask(server.server_port)'), {'ask': ask})
    assert answers == [b'HTTP/1.1 101']
    assert capsys.readouterr().out.startswith('listening on port ')


@pytest.mark.parametrize('place', PLACES)
def test_examples_in_docstrings(place):
    assert doctest.testmod(importlib.import_module(place)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    counts = {place: sum(len(found.examples) for found in finder.find(importlib.import_module(place)))
              for place in PLACES}
    assert {place.rpartition('.')[2] for place, count in counts.items() if count} >= {
        '_frame', 'common', 'extensions', 'base', 'hybi', 'http_header_util', 'memorizingfile', 'util'}


def undocumented(owner, prefix):
    """The public names of a module or class without a word about them."""
    for name, value in vars(owner).items():
        if name.startswith('_') or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if value.__module__.partition('.')[0] != 'mod_pywebsocket':
            continue
        if not value.__doc__:
            yield prefix + name
        if inspect.isclass(value):
            yield from undocumented(value, prefix + name + '.')


@pytest.mark.parametrize('place', [place for place in PLACES if '._' not in place])
def test_everything_is_documented(place):
    module = importlib.import_module(place)
    assert module.__doc__
    assert list(undocumented(module, '')) == []


def test_the_newer_name_points_to_the_older():
    import pywebsocket3
    assert 'help(mod_pywebsocket)' in pydoc.plain(pydoc.render_doc(pywebsocket3))
    assert 'receive_message' in pydoc.plain(pydoc.render_doc('pywebsocket3.stream'))
    assert pywebsocket3.Request is mod_pywebsocket.Request
    assert pywebsocket3.AsyncRequest is mod_pywebsocket.AsyncRequest
