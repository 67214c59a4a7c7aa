"""How the server ends: what its clients hear, its exit status, what it says of itself."""

import signal
import subprocess
import sys

import pytest
from conftest import ECHO, PATIENCE, Server, close, text

BOTH = pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_goodbye(start, number):
    server = start({'echo': ECHO})
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.upgrade()
        client.send(text('x'))
        client.read_frame()
    server.process.send_signal(number)
    for client in clients:
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''
    assert server.process.wait(PATIENCE) == -number
    assert server.log() == ''


def test_a_client_that_does_not_answer_the_goodbye_holds_nobody_up(start):
    server = start({'echo': ECHO})
    with server.connect() as client:
        client.upgrade()
        assert server.stop(signal.SIGTERM) == -signal.SIGTERM


# A handler that tells its client in which state it is, and stays in it.
STATES = '''
import threading
import time

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    stream = request.ws_stream
    state = request.uri.rpartition('?')[2]
    if state == 'reading':
        reader = threading.Thread(target=stream.receive_message, daemon=True)
        reader.start()
        stream.send_message('ready')
        reader.join()
    elif state == 'replaced':
        read, write = request.connection.read, request.connection.write
        request.connection.read = lambda length: read(length)
        request.connection.write = lambda data: write(data)
    elif state == 'closing':
        stream.close_connection(4000)
        return
    elif state == 'stuck':
        stream.send_message('x' * (1 << 23))
    elif state == 'fragment':
        stream.send_message('begun', end=False)
        time.sleep(600)
    stream.send_message('ready')
    while state == 'sleeping':
        time.sleep(600)
    stream.receive_message()
'''


@pytest.mark.parametrize('state', ['waiting', 'sleeping', 'reading', 'replaced'])
def test_goodbye_comes_whatever_a_handler_does(start, state):
    server = start({'states': STATES})
    with server.connect() as client:
        client.upgrade('/states?' + state)
        assert client.read_frame() == (0x81, b'ready')
        server.process.send_signal(signal.SIGTERM)
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''
    assert server.process.wait(PATIENCE) == -signal.SIGTERM
    assert server.log() == ''


def test_goodbye_comes_inside_of_a_message(start):
    server = start({'states': STATES})
    with server.connect() as client:
        client.upgrade('/states?fragment')
        assert client.read_frame() == (0x01, b'begun')
        server.process.send_signal(signal.SIGTERM)
        assert client.read_close() == 1001
    assert server.process.wait(PATIENCE) == -signal.SIGTERM


def test_who_has_a_close_frame_gets_no_other(start):
    server = start({'states': STATES})
    with server.connect() as client:
        client.upgrade('/states?closing')
        assert client.read_close() == 4000
        server.process.send_signal(signal.SIGTERM)
        assert client.read_all() == b''
    assert server.process.wait(PATIENCE) == -signal.SIGTERM


def test_goodbye_comes_behind_what_was_being_sent(start):
    server = start({'states': STATES})
    with server.connect() as client, server.connect() as other:
        client.upgrade('/states?stuck')
        # Its message has begun, and cannot end before it is read.
        left = 10 + (1 << 23) - len(client.sock.recv(1))
        other.upgrade('/states?waiting')
        assert other.read_frame() == (0x81, b'ready')
        server.process.send_signal(signal.SIGTERM)
        # Who says goodbye has been there.
        assert other.read_close() == 1001
        while left:
            left -= len(client.sock.recv(min(left, 1 << 20)))
        assert client.read_close() == 1001
    assert server.process.wait(PATIENCE) == -signal.SIGTERM


@BOTH
def test_goodbye_over_tls(start, certificates, trusting, number):
    server = start({'echo': ECHO}, '-t', '-k', certificates['server_key'], '-c', certificates['server'])
    with server.connect(trusting) as client:
        client.upgrade()
        server.process.send_signal(number)
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''
    assert server.process.wait(PATIENCE) == -number
    assert server.log() == ''


# A program of somebody who accepts connections himself, and may wrap their sockets.
EMBEDDER = '''
import sys
from mod_pywebsocket import standalone
from mod_pywebsocket.websocket_server import WebSocketServer

class Wrapped:
    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

class Mine(WebSocketServer):
    def get_request(self):
        request, address = WebSocketServer.get_request(self)
        return Wrapped(request) if WRAPS else request, address

standalone.WebSocketServer = Mine
standalone._main(sys.argv[1:])
'''


@BOTH
@pytest.mark.parametrize('wraps', [False, True])
def test_goodbye_where_an_embedder_accepts(tmp_path, wraps, number):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    program = tmp_path / 'program.py'
    program.write_text(EMBEDDER.replace('WRAPS', str(wraps)))
    server = Server(tmp_path, program=[str(program)])
    with server.connect() as client:
        client.upgrade()
        client.send(text('x'))
        assert client.read_frame() == (0x81, b'x')
        server.process.send_signal(number)
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''
    assert server.stop(0) == -number
    assert server.log() == ''


def test_a_signal_in_the_middle_of_accepting(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(ECHO.replace(
        'data(request):', 'data(request):\n    request._request_handler.server.opened.set()'))
    program = tmp_path / 'program.py'
    program.write_text('''
import os
import signal
import sys
import threading
from mod_pywebsocket import standalone
from mod_pywebsocket.websocket_server import WebSocketServer

class Mine(WebSocketServer):
    opened = threading.Event()

    def process_request(self, request, client_address):
        WebSocketServer.process_request(self, request, client_address)
        self.opened.wait()
        os.kill(os.getpid(), signal.SIGTERM)

standalone.WebSocketServer = Mine
standalone._main(sys.argv[1:])
''')
    server = Server(tmp_path, program=[str(program)])
    with server.connect() as client:
        client.upgrade()
        assert client.read_close() == 1001
    assert server.stop(0) == -signal.SIGTERM


@pytest.fixture
def loading(tmp_path):
    """``loading(source)``: a server that is reading this handler file, which has said so."""
    processes = []

    def start_server(source):
        (tmp_path / 'slow_wsh.py').write_text(source)
        processes.append(subprocess.Popen(
            [sys.executable, '-m', 'mod_pywebsocket.standalone', '-p', '0', '-H', 'localhost', '-d', str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)))
        assert processes[-1].stdout.readline() == 'loading\n'
        return processes[-1]

    yield start_server
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@BOTH
def test_a_signal_while_handlers_are_read(loading, number):
    process = loading('import time\nprint("loading", flush=True)\ntime.sleep(600)\n')
    process.send_signal(number)
    assert process.wait(PATIENCE) == -number
    assert process.stdout.read() == ''


def test_a_signal_that_a_handler_file_swallows(loading):
    process = loading('''
import atexit
import time
atexit.register(print, 'the end')
try:
    print("loading", flush=True)
    time.sleep(600)
except:
    print('swallowed')
''' + ECHO)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT
    assert process.stdout.read() == 'swallowed\nthe end\n'


def test_the_second_signal_ends_at_once(loading):
    process = loading('''
import time
try:
    print("loading", flush=True)
    time.sleep(600)
finally:
    print("first", flush=True)
    time.sleep(600)
''')
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == 'first\n'
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT
    assert process.stdout.read() == ''


def test_handlers_of_whoever_runs_us_stay(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    program = tmp_path / 'program.py'
    program.write_text('''
import signal
import sys
from mod_pywebsocket import standalone
signal.signal(signal.SIGINT, lambda number, _: sys.exit(17))
standalone._main(sys.argv[1:])
''')
    server = Server(tmp_path, program=[str(program)])
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE) == 17
    assert server.stop(0) == 17
