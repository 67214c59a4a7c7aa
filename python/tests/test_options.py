"""Options that the original does not have: who may connect, how long anything may take."""

import threading

import pytest
from conftest import ECHO, PATIENCE, as_async, close, head, masked, text
from test_standalone import run

GOOD = 'https://good.example'


@pytest.mark.parametrize('options, named', [
    (['--max-message-bytes', '-1'], '--max-message-bytes'),
    (['--close-timeout', '-1'], '--close-timeout'),
    (['--close-timeout', 'nan'], '--close-timeout'),
    (['--close-timeout', '1e9'], '--close-timeout'),
    (['--metrics', '65536'], '--metrics takes a port, 0 to 65535, not 65536'),
    (['--queue', '-1'], '--queue'),
    (['--handler-encoding', 'latin-99'], "--handler-encoding: Python has no encoding 'latin-99'"),
    (['--origin', 'example.com'], 'example.com'),
    (['--origin', 'https://example.com/'], 'https://example.com/'),
    (['--origin', '*'], '--origin'),
], ids=str)
def test_a_value_that_makes_no_sense_is_one_line(options, named):
    status, said = run(*options)
    assert status == 1 and named in said
    assert said.count('\n') == 1, said


def answer_to(server, **headers):
    with server.connect() as client:
        client.send(head(**headers))
        return client.read_head().partition(b'\r\n')[0]


def test_pages_of_other_origins_are_refused(start):
    server = start({'echo': ECHO}, '--origin', GOOD + ', http://localhost:8000', '--origin', 'null',
                   '--log-level', 'info')
    accepted = b'HTTP/1.1 101 Switching Protocols'
    for origin in (GOOD, 'HTTPS://Good.Example', 'http://localhost:8000', 'null'):
        assert answer_to(server, Origin=origin) == accepted
    assert answer_to(server) == accepted
    assert server.log().count('origin') == 0
    for origin in ('https://bad.example', GOOD + ':444', 'http://good.example', GOOD + '.bad.example', '',
                   GOOD + '.', GOOD + ':443', GOOD + '/', GOOD + ' ', GOOD + '\t', GOOD + '\x00', GOOD + ', ' + GOOD,
                   'https://me@good.example',
                   'https://good.example\\.bad.example', 'nullnull', 'https:good.example',
                   'https://\uff47ood.example'.encode().decode('latin-1')):
        assert answer_to(server, Origin=origin) == b'HTTP/1.0 403 Origin not allowed'
        assert 'The origin %r is not' % origin in server.log()
    twice = head(Origin=GOOD).replace(b'Origin: ', b'Origin: %s\r\nOrigin: ' % GOOD.encode())
    assert server.answer(twice).startswith(b'HTTP/1.0 400 ')
    # Files are for everybody.
    assert server.answer(head('/', Origin='https://bad.example')).startswith(b'HTTP/1.0 200 ')


def test_origins_in_a_config_file(start, tmp_path):
    path = tmp_path / 'config'
    path.write_text('[pywebsocket]\norigin = https://bad.example, %s\n' % GOOD)
    server = start({'echo': ECHO}, '--config', str(path), '--origin', 'http://more.example')
    assert answer_to(server, Origin=GOOD).startswith(b'HTTP/1.1 101 ')
    assert answer_to(server, Origin='http://more.example').startswith(b'HTTP/1.1 101 ')
    assert answer_to(server, Origin='http://none.example').startswith(b'HTTP/1.0 403 ')


CLOSES = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    try:
        request.ws_stream.close_connection(4000, 'over')
    finally:
        print('timeout is now', request._request_handler.connection.gettimeout(), flush=True)
        print('answered' if request.client_terminated else 'not answered', flush=True)
'''


@pytest.mark.parametrize('source', [CLOSES, as_async(CLOSES)], ids=['sync', 'async'])
def test_a_client_that_never_answers_a_close_is_let_go(start, source):
    server = start({'closes': source}, '--close-timeout', '0.2', '--log-level', 'debug')
    with server.connect() as client:
        client.upgrade('/closes')
        assert client.read_close() == 4000
        assert client.read_all() == b''
    assert server.process.stdout.readline() == b'timeout is now None\n'
    assert 'Traceback' not in server.log()


def test_pings_do_not_answer_a_close(start):
    server = start({'closes': CLOSES}, '--close-timeout', '0.5')
    ended = threading.Event()
    with server.connect() as client:
        client.upgrade('/closes')
        assert client.read_close() == 4000

        def ping():
            # More often than the timeout.
            while not ended.wait(0.01):
                try:
                    client.send(masked(0x89))
                except OSError:
                    return

        pinging = threading.Thread(target=ping)
        pinging.start()
        try:
            assert set(client.read_all()) == {0x8a, 0}
        finally:
            ended.set()
            pinging.join(PATIENCE)
    assert 'Traceback' not in server.log()


REPLACED = '''
def web_socket_transfer_data(request):
    read = request.connection.read
    request.connection.read = lambda length: read(length)
'''
FILTERED = '''
class Filter:
    def filter(self, frame):
        pass

def web_socket_transfer_data(request):
    request.ws_stream._options.incoming_frame_filters.append(Filter())
'''
# After the close frame, and never whole: a frame that begins the next message, and one that goes on with it.
ENDLESS = {'message': masked(0x81, length=100000), 'fragment': masked(0x01, b'x') + masked(0x80, length=100000),
           'header': b'\x81\xff' + bytes(5)}


@pytest.mark.parametrize('begin', sorted(ENDLESS))
@pytest.mark.parametrize('kind', ['native', 'filtered', 'replaced', 'async'])
def test_what_trickles_does_not_put_off_the_end(start, kind, begin):
    source = CLOSES
    if kind == 'async':
        source = as_async(source)
    for name, beginning in (('filtered', FILTERED), ('replaced', REPLACED)):
        if kind == name:
            source = source.replace('\ndef web_socket_transfer_data(request):\n', beginning)
    server = start({'closes': source}, '--close-timeout', '0.3')
    ended = threading.Event()
    with server.connect() as client:
        client.upgrade('/closes')
        assert client.read_close() == 4000
        client.send(ENDLESS[begin])

        def trickle():
            # More often than the timeout, and far longer than the client waits.
            for byte in [1] * 100000:
                if ended.wait(0.02):
                    return
                try:
                    client.send(bytes([byte]))
                except OSError:
                    return

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            assert client.read_all() == b''
        finally:
            ended.set()
            trickling.join(PATIENCE)
    assert server.process.stdout.readline() == b'timeout is now None\n'
    assert 'Traceback' not in server.log()


def test_who_answers_in_time_is_heard(start):
    server = start({'closes': CLOSES}, '--close-timeout', '19')
    with server.connect() as client:
        client.upgrade('/closes')
        assert client.read_close() == 4000
        client.send(masked(0x8a) + close(4000))
        assert client.read_all() == b''
    assert server.process.stdout.readline() == b'timeout is now None\n'
    assert server.process.stdout.readline() == b'answered\n'


def test_the_close_timeout_is_for_closing_only(start):
    server = start({'echo': ECHO}, '--close-timeout', '0.01')
    with server.connect() as client:
        client.upgrade()
        for word in ('a', 'b'):
            threading.Event().wait(0.05)
            client.send(text(word))
            assert client.read_frame() == (0x81, word.encode())


def test_a_reader_that_never_reads_cannot_hold_up_its_close(start):
    server = start({'flood': '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    raw = request._request_handler.connection
    raw.settimeout(0.1)
    # Until not even a byte has room.
    for size in (65536, 1024, 1):
        try:
            while True:
                request.connection.write(bytes(size))
        except OSError:
            pass
    raw.settimeout(None)
    print('full', flush=True)
    try:
        request.ws_stream.close_connection()
    finally:
        print('ends', flush=True)
'''}, '--close-timeout', '0.2')
    with server.connect() as client:
        client.upgrade('/flood')
        assert server.process.stdout.readline() == b'full\n'
        assert server.process.stdout.readline() == b'ends\n'
