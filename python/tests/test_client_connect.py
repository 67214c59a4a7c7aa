"""The way to the server: what refuses, hangs, lies or leads elsewhere, and the one sentence that is said of it."""

import errno
import signal
import socket
import ssl
import subprocess
import sys

import linkspan
import pytest
import trustme
from by_hand import hanging, peer, tunnel
from conftest import ECHO, PATIENCE, Server

ANSWER = b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'


def answering(answer, requests=None):
    """A handler that reads a request and says this."""
    def handler(client):
        request = client.read_head()
        if requests is not None:
            requests.append(request.decode('latin-1').split('\r\n'))
        client.send(answer)
    return handler


@pytest.fixture(scope='module')
def nobody():
    """A port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        yield sock.getsockname()[1]


def test_a_port_where_nobody_listens(nobody):
    with pytest.raises(linkspan.ConnectError) as told:
        linkspan.connect('ws://127.0.0.1:%d/' % nobody)
    assert str(told.value).startswith('cannot connect to 127.0.0.1:%d: Connection refused' % nobody)
    assert told.value.errno == errno.ECONNREFUSED
    assert isinstance(told.value, OSError) and isinstance(told.value, linkspan.Error)


def test_a_name_without_an_address():
    with pytest.raises(linkspan.ConnectError, match='^cannot resolve nowhere.invalid: ') as told:
        linkspan.connect('ws://nowhere.invalid/', proxy='')
    assert told.value.errno is None


@pytest.mark.parametrize('url', ['gopher://a/', 'a', '', 'ws://', 'ws://a:99999/', 'ws://a/#part', 'ws://a b/'])
def test_a_url_that_is_none(url):
    with pytest.raises(ValueError, match='URL'):
        linkspan.connect(url)


REFUSAL = b'HTTP/1.1 403 Forbidden\r\nX-Why: policy\r\nContent-Length: 22\r\n\r\n\r\nnot you\r\nand not now'


def test_a_refusal_has_its_status_headers_and_body():
    with peer(answering(REFUSAL)) as port:
        with pytest.raises(linkspan.HandshakeError, match='^the server answered 403 Forbidden: not you$') as told:
            linkspan.connect('ws://localhost:%d/' % port)
    assert told.value.status == 403
    assert ('X-Why', 'policy') in told.value.headers
    assert told.value.body == b'\r\nnot you\r\nand not now'


def test_a_long_body_is_cut_in_the_sentence_only():
    body = '语'.encode() * 1000
    with peer(answering(b'HTTP/1.1 500 \r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))) as port:
        with pytest.raises(linkspan.HandshakeError) as told:
            linkspan.connect('ws://localhost:%d/' % port)
    assert str(told.value) == 'the server answered 500: ' + '语' * 200 + '…'
    assert told.value.body == body


def test_a_redirect_is_followed_when_asked_for():
    def arrive(client):
        client.upgrade()
        client.close()

    def lead(client):
        client.read_head()
        client.send(b'HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n')

    with peer(lead, arrive) as port:
        with linkspan.connect('ws://localhost:%d/here' % port, max_redirects=1) as ws:
            assert ws.url == 'ws://localhost:%d/there' % port
            assert list(ws) == []
    with peer(lead) as port:
        with pytest.raises(linkspan.HandshakeError, match='it redirects to /there; max_redirects=10 would') as told:
            linkspan.connect('ws://localhost:%d/here' % port)
    assert told.value.status == 302
    with peer(lead, lead) as port:
        with pytest.raises(linkspan.HandshakeError, match='there were 1 before it, and that is the limit'):
            linkspan.connect('ws://localhost:%d/here' % port, max_redirects=1)


@pytest.mark.parametrize('answer, why', [
    (ANSWER + b'Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n', 'does not answer this Sec-WebSocket-Key'),
    (ANSWER + b'\r\n', 'Sec-WebSocket-Accept'),
    (b'HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n', 'something else than websocket'),
    (b'SSH-2.0-OpenSSH_9\r\n\r\n', 'does not begin with HTTP'),
    (b'', 'ended the connection'),
])
def test_an_answer_that_breaks_a_rule(answer, why):
    with peer(answering(answer)) as port:
        with pytest.raises(linkspan.HandshakeError, match=why) as told:
            linkspan.connect('ws://localhost:%d/' % port)
    assert told.value.status is None


@pytest.mark.parametrize('extra, why', [
    (b'Sec-WebSocket-Protocol: other\r\n', 'subprotocol that was not offered'),
    (b'Sec-WebSocket-Extensions: permessage-deflate\r\n', 'extension that was not offered'),
])
def test_an_answer_that_was_not_asked_for(extra, why):
    with peer(lambda client: client.upgrade(extra)) as port:
        with pytest.raises(linkspan.HandshakeError, match=why):
            linkspan.connect('ws://localhost:%d/' % port, subprotocols=['chat'])


@pytest.mark.parametrize('greeting', [b'', b'HTTP/1.1 101 '])
def test_a_handshake_that_hangs_has_an_end(greeting):
    with hanging(greeting) as port:
        with pytest.raises(TimeoutError, match='^the opening handshake took too long$') as told:
            linkspan.connect('ws://localhost:%d/' % port, handshake_timeout=0.05)
    assert isinstance(told.value, linkspan.TimedOut)


def test_tls_that_hangs_has_an_end():
    with hanging() as port:
        with pytest.raises(linkspan.TimedOut, match='^cannot finish the TLS handshake with 127.0.0.1:%d' % port):
            linkspan.connect('wss://127.0.0.1:%d/' % port, connect_timeout=1, ca=trustme.CA().cert_pem.bytes())


def test_ctrl_c_ends_a_connect_that_hangs():
    program = ('import sys, linkspan\n'
               'try:\n'
               '    print("begun", flush=True)\n'
               '    linkspan.connect(sys.argv[1])\n'
               'except KeyboardInterrupt:\n'
               '    print("interrupted")\n')
    # The system accepts, and nobody answers.
    with socket.create_server(('127.0.0.1', 0)) as listener:
        url = 'ws://localhost:%d/' % listener.getsockname()[1]
        with subprocess.Popen([sys.executable, '-c', program, url], stdout=subprocess.PIPE,
                              text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as p:
            assert p.stdout.readline() == 'begun\n'
            p.send_signal(signal.SIGINT)
            assert p.communicate(timeout=PATIENCE)[0] == 'interrupted\n'


def test_a_unix_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / 'socket'))
        with pytest.raises(linkspan.ConnectError, match='Connection refused'):
            linkspan.connect('ws+unix://%s:/' % (tmp_path / 'socket'))
    with pytest.raises(linkspan.ConnectError, match='No such file'):
        linkspan.connect('ws+unix:///no/such/socket:/')


# --- options -----------------------------------------------------------------


@pytest.mark.parametrize('options, error, why', [
    ({'headers': {'Upgrade': 'x'}}, ValueError, '"Upgrade" cannot be sent'),
    ({'headers': [('sec-websocket-key', 'x')]}, ValueError, '"sec-websocket-key" cannot be sent'),
    ({'headers': {'X': 'a\r\nB: c'}}, ValueError, '"X" cannot be sent: it breaks the request'),
    ({'headers': 'X: y'}, TypeError, 'a mapping, or pairs'),
    ({'headers': [('X',)]}, ValueError, 'a name and a value'),
    ({'headers': {'X': 1}}, TypeError, 'header X is a str, not int'),
    ({'origin': 1}, TypeError, 'origin is a str'),
    ({'subprotocols': 'chat'}, TypeError, "a list of str: \\['chat'\\]"),
    ({'subprotocols': ['a b']}, ValueError, '"a b" is no name of a subprotocol'),
    ({'connect_timeout': -1}, ValueError, 'connect_timeout is a number of seconds, or None'),
    ({'close_timeout': 'x'}, ValueError, 'close_timeout is a number of seconds'),
    ({'ping_interval': float('nan')}, ValueError, 'ping_interval is a number of seconds'),
    ({'max_message_bytes': -1}, ValueError, 'max_message_bytes is a number from 0'),
    ({'max_redirects': 1.5}, ValueError, 'max_redirects is a number from 0'),
    ({'certificate': 'a.pem'}, ValueError, 'certificate and private_key go together'),
    ({'certificate': '/no/such.pem', 'private_key': '/no/such.key'}, linkspan.TlsError, '/no/such'),
    ({'ca': '/no/such.pem'}, linkspan.TlsError, '/no/such.pem'),
    ({'ca': b'not PEM'}, linkspan.TlsError, 'the given PEM text'),
    ({'ca': 1}, TypeError, 'ca is the path of a PEM file'),
    ({'pins': ['sha256/short']}, linkspan.TlsError, 'is no pin'),
    ({'server_name': 'a b'}, linkspan.TlsError, 'is not a name for a server'),
    ({'proxy': 'gopher://a'}, ValueError, 'gopher'),
])
def test_an_option_that_cannot_be_is_named_before_anything_is_sent(nobody, options, error, why):
    with pytest.raises(error, match=why):
        linkspan.connect('wss://127.0.0.1:%d/' % nobody, **options)


def test_an_option_that_there_is_not():
    with pytest.raises(TypeError, match='insecure'):
        linkspan.connect('wss://localhost/', insecure=True)


def test_the_request_is_as_it_was_asked_for():
    requests = []
    with peer(answering(REFUSAL, requests)) as port:
        with pytest.raises(linkspan.HandshakeError):
            linkspan.connect('ws://user:pass%%20word@localhost:%d/a?b' % port, headers={'Host': 'other', 'X': 'y'},
                             origin='https://a.example', subprotocols=('one', 'two'), deflate=True)
    request, = requests
    assert request[0] == 'GET /a?b HTTP/1.1'
    for line in ['Host: other', 'X: y', 'Origin: https://a.example', 'Sec-WebSocket-Protocol: one, two',
                 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
                 'Authorization: Basic dXNlcjpwYXNzIHdvcmQ=']:
        assert line in request
    assert not any(line.startswith('Host: localhost') for line in request)


# --- TLS ---------------------------------------------------------------------


@pytest.fixture(scope='module')
def authority():
    return trustme.CA()


@pytest.fixture(scope='module')
def secure(authority, tmp_path_factory):
    """A server that asks for certificates, and takes those who show none."""
    directory = tmp_path_factory.mktemp('secure')
    (directory / 'echo_wsh.py').write_text(ECHO)
    authority.cert_pem.write_to_path(directory / 'ca.pem')
    certificate = authority.issue_cert('localhost')
    certificate.private_key_pem.write_to_path(directory / 'key.pem')
    certificate.cert_chain_pems[0].write_to_path(directory / 'cert.pem')
    client = authority.issue_cert('client@example.com')
    client.private_key_pem.write_to_path(directory / 'client.key')
    client.cert_chain_pems[0].write_to_path(directory / 'client.pem')
    server = Server(directory, '-t', '-k', str(directory / 'key.pem'), '-c', str(directory / 'cert.pem'),
                    '--tls-client-auth', '--tls-client-cert-optional', '--tls-client-ca', str(directory / 'ca.pem'))
    server.directory = directory
    yield server
    server.stop()


def test_tls_with_a_certificate_that_is_trusted(secure, authority):
    url = 'wss://localhost:%d/echo' % secure.port
    for ca in [secure.directory / 'ca.pem', str(secure.directory / 'ca.pem'), authority.cert_pem.bytes(),
               bytearray(authority.cert_pem.bytes())]:
        with linkspan.connect(url, ca=ca) as ws:
            ws.send('x' * 300_000)
            assert ws.receive(PATIENCE) == 'x' * 300_000
            assert ssl.DER_cert_to_PEM_cert(ws.peer_certificate) == (secure.directory / 'cert.pem').read_text()
    with linkspan.connect(url, ca=authority.cert_pem.bytes(), certificate=secure.directory / 'client.pem',
                          private_key=str(secure.directory / 'client.key')) as ws:
        ws.send('known')
        assert ws.receive(PATIENCE) == 'known'


def test_tls_with_a_certificate_that_is_not_trusted(secure, authority):
    url = 'wss://localhost:%d/echo' % secure.port
    other = trustme.CA()
    with pytest.raises(linkspan.TlsError, match=r'^TLS: the server\'s certificate is not trusted.*\(ca= names it\)$'):
        linkspan.connect(url, ca=other.cert_pem.bytes())
    with pytest.raises(linkspan.TlsError, match='is for localhost, not for another.example$'):
        linkspan.connect(url, ca=authority.cert_pem.bytes(), server_name='another.example')
    with pytest.raises(linkspan.TlsError, match='sha256/'):
        linkspan.connect(url, ca=authority.cert_pem.bytes(), pins=['sha256/' + 'A' * 43 + '='])
    with pytest.raises(linkspan.TlsError, match='127.0.0.1'):
        linkspan.connect('wss://127.0.0.1:%d/echo' % secure.port, ca=authority.cert_pem.bytes())
    with linkspan.connect('wss://127.0.0.1:%d/echo' % secure.port, ca=authority.cert_pem.bytes(),
                          server_name='localhost') as ws:
        ws.send('by another name')
        assert ws.receive(PATIENCE) == 'by another name'


def test_tls_to_a_server_without_it(authority):
    def handler(client):
        client.sock.recv(65536)
        client.send(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        client.read_all()

    with peer(handler) as port:
        with pytest.raises(linkspan.TlsError, match='the server does not speak TLS'):
            linkspan.connect('wss://localhost:%d/' % port, ca=authority.cert_pem.bytes())


# --- proxies -----------------------------------------------------------------


def test_a_proxy_leads_to_the_server(secure, authority):
    requests = []
    with peer(tunnel(requests=requests)) as port:
        with linkspan.connect('wss://localhost:%d/echo' % secure.port, ca=authority.cert_pem.bytes(),
                              proxy='http://me:secret@127.0.0.1:%d' % port) as ws:
            ws.send('through')
            assert ws.receive(PATIENCE) == 'through'
    assert requests[0].startswith(b'CONNECT localhost:%d HTTP/1.1\r\n' % secure.port)
    assert b'Proxy-Authorization: Basic bWU6c2VjcmV0' in requests[0]


def test_a_proxy_that_refuses(nobody):
    with peer(tunnel(answer=b'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')) as port:
        with pytest.raises(linkspan.ConnectError, match='^the proxy refused: .*407'):
            linkspan.connect('ws://a.example/', proxy='127.0.0.1:%d' % port)
    with pytest.raises(linkspan.ConnectError, match='^cannot connect to the proxy 127.0.0.1:%d' % nobody):
        linkspan.connect('ws://a.example/', proxy='127.0.0.1:%d' % nobody)


def test_a_proxy_of_the_environment(monkeypatch, nobody):
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:%d' % nobody)
    monkeypatch.delenv('no_proxy', raising=False)
    monkeypatch.delenv('NO_PROXY', raising=False)
    with pytest.raises(linkspan.ConnectError, match='connect to the proxy'):
        linkspan.connect('ws://a.invalid/')
    with pytest.raises(linkspan.ConnectError, match='cannot resolve a.invalid'):
        linkspan.connect('ws://a.invalid/', proxy='')
