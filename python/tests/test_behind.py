"""Servers behind a proxy: on a socket that listens already, and told by the proxy who the client is."""

import os
import socket
import subprocess
import sys

import pytest
from conftest import PATIENCE, Client, close, head
from test_standalone import run

from mod_pywebsocket import _forwarded

WHO = {'who': '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.ws_stream.send_message('%r %s %s' % (request.connection.remote_addr, request.is_https(),
                                                 request.connection.local_addr[1]))
'''}
TCP, UNIX = socket.AF_INET, socket.AF_UNIX


@pytest.fixture
def serve_on(tmp_path):
    """Serves on a socket that it is given, and gives a function that connects there."""
    processes = []

    def serve(listener, *options):
        (tmp_path / 'who_wsh.py').write_text(WHO['who'])
        processes.append(subprocess.Popen(
            [sys.executable, '-m', 'mod_pywebsocket.standalone', '--listen-fd', str(listener.fileno()), '-w',
             str(tmp_path), '-d', str(tmp_path), *options], pass_fds=[listener.fileno()]))

        def connect():
            sock = socket.socket(listener.family)
            sock.settimeout(PATIENCE)
            sock.connect(listener.getsockname())
            return Client(sock)
        return connect

    yield serve
    for process in processes:
        process.kill()
        process.wait(PATIENCE)


def listening(family, directory):
    listener = socket.socket(family)
    listener.bind(str(directory / 'socket') if family == UNIX else ('127.0.0.1', 0))
    listener.listen()
    return listener


def who(connect, **headers):
    with connect() as client:
        client.send(head('/who', **headers))
        assert b' 101 ' in client.read_head()
        first, payload = client.read_frame()
        client.send(close(1000))
        assert first == 0x81
        return payload.decode()


@pytest.mark.parametrize('family', [UNIX, TCP], ids=['unix', 'tcp'])
def test_it_serves_on_a_socket_that_listens_already(serve_on, tmp_path, family):
    with listening(family, tmp_path) as listener:
        said = who(serve_on(listener))
        if family == UNIX:
            assert said == "('unix', 0) False 0"
        else:
            assert said.startswith("('127.0.0.1', ") and said.endswith(' False %d' % listener.getsockname()[1])


@pytest.mark.parametrize('number, why', [('-1', ''), ('0', ''), ('12345', 'descriptor')], ids=str)
def test_what_does_not_listen_is_said_in_one_line(number, why):
    status, said = run('--listen-fd', number)
    assert status == 1 and 'cannot listen on the descriptor %s: ' % number in said and why in said
    assert said.count('\n') == 1, said


def test_a_socket_that_does_not_listen_is_refused():
    one, two = socket.socketpair()
    with one, two:
        ended = subprocess.run([sys.executable, '-m', 'mod_pywebsocket.standalone', '--listen-fd', str(one.fileno())],
                               pass_fds=[one.fileno()], stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                               cwd=os.path.dirname(__file__))
    assert ended.returncode == 1 and 'it does not listen; --listen-fd takes' in ended.stderr


def test_a_proxy_tells_who_the_client_is(serve_on, tmp_path):
    with listening(UNIX, tmp_path) as listener:
        connect = serve_on(listener, '--forwarded')
        assert who(connect) == "('unix', 0) False 0"
        assert who(connect, X_Forwarded_For='203.0.113.9, 192.0.2.1', X_Forwarded_Proto='https') \
            == "('192.0.2.1', 0) True 0"
        assert who(connect, Forwarded='for="[2001:db8::1]:4711";proto=https', X_Forwarded_For='192.0.2.1') \
            == "('2001:db8::1', 4711) True 0"


def test_nobody_is_believed_unasked(serve_on, tmp_path):
    with listening(UNIX, tmp_path) as listener:
        assert who(serve_on(listener), X_Forwarded_For='192.0.2.1', X_Forwarded_Proto='https') == "('unix', 0) False 0"


@pytest.mark.parametrize('fields, told', [
    ({}, (('peer', 1), False)),
    ({'X-Forwarded-For': '192.0.2.1:80'}, (('192.0.2.1', 80), False)),
    ({'X-Forwarded-For': '2001:db8::1'}, (('2001:db8::1', 0), False)),
    ({'X-Forwarded-For': '[2001:db8::1]'}, (('2001:db8::1', 0), False)),
    ({'X-Forwarded-Proto': 'WSS'}, (('peer', 1), True)),
    ({'Forwarded': 'For=192.0.2.1:5 ; Proto=HTTPS'}, (('192.0.2.1', 5), True)),
    # A client that wrote the field itself changes nothing: the last word is the proxy's.
    ({'Forwarded': 'for=evil;proto=https, for="192.0.2.1:5";proto=http'}, (('192.0.2.1', 5), False)),
    ({'Forwarded': 'for=unknown'}, (('unknown', 0), False)),
    ({'X-Forwarded-For': 'a:\u00b2'}, (('a:\u00b2', 0), False)),
    ({'X-Forwarded-For': ':' * 5 + ','}, (('peer', 1), False)),
], ids=str)
def test_what_the_last_proxy_says_counts(fields, told):
    from email.message import Message
    headers = Message()
    for name, value in fields.items():
        headers[name] = value
    assert _forwarded.told(headers, ('peer', 1), False) == told
