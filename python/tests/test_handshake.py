"""The opening handshake: what is accepted, what is refused and how, and what the handler sees."""

import pytest
from conftest import ACCEPT, ECHO, KEY, head, masked, serve_module

import mod_pywebsocket.common
from mod_pywebsocket import handshake
from mod_pywebsocket.handshake import base, hybi

CHOOSER = '''
from urllib.parse import parse_qs, urlsplit

def web_socket_do_extra_handshake(request):
    wish = parse_qs(urlsplit(request.uri).query)
    if 'protocol' in wish:
        request.ws_protocol = wish['protocol'][0]
    if 'forget' in wish:
        request.ws_requested_protocols = None
    for value in wish.get('cookie', ()):
        request.extra_headers.append(('Set-Cookie', value))
    if 'noext' in wish:
        request.ws_extension_processors = []
    if 'nulled' in wish:
        request.ws_extension_processors = [None]

def web_socket_transfer_data(request):
    pass
'''

SEEN = '''
import json

def web_socket_do_extra_handshake(request):
    assert not hasattr(request, 'ws_stream')
    assert request.ws_close_code is None and request.ws_close_reason is None
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[-1]

def web_socket_transfer_data(request):
    request.ws_stream.send_message(json.dumps({
        'uri': request.uri, 'unparsed_uri': request.unparsed_uri, 'method': request.method,
        'protocol': request.protocol, 'resource': request.ws_resource, 'version': request.ws_version,
        'origin': request.ws_origin, 'chosen': request.ws_protocol, 'requested': request.ws_requested_protocols,
        'x': request.headers_in.get('x-test'), 'missing': request.headers_in['no-such'],
        'https': request.is_https(), 'extensions': request.ws_extensions,
        'local': list(request.connection.local_addr), 'remote': request.connection.remote_addr[0],
        'lines': [line.decode('latin-1') for line in request.connection.get_memorized_lines()],
        'flags': [request.client_terminated, request.server_terminated],
    }))
'''

server = serve_module({'echo': ECHO, 'choose': CHOOSER, 'seen': SEEN})


def test_the_answer_is_the_rfcs(server):
    with server.connect() as client:
        assert client.upgrade() == (
            b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            b'Sec-WebSocket-Accept: ' + ACCEPT.encode())


@pytest.mark.parametrize('request_head', [
    head(Upgrade='WebSocket'),
    head(Connection='keep-alive, uPGRADE, , '),
    head(Host=''),
    head(resource='/echo?query=1&x=%2F'),
    head(resource='/echo#'),
    head(resource='//echo'),
    head(resource='ws://anywhere:81/echo'),
    head(resource='wss://anywhere/echo'),
    head(X_Folded='a\r\n b'),
    head(X_Latin='caf\xe9'),
    head().replace(b'\r\n', b'\n'),
    head(Sec_WebSocket_Extensions=''),
    head(Sec_WebSocket_Extensions='unknown; a=b, , another'),
    head().replace(b'\r\n\r\n', b'\r\nSec-WebSocket-Key: nonsense\r\n\r\n'),
], ids=lambda data: repr(data[:60]))
def test_accepted(server, request_head):
    with server.connect() as client:
        client.send(request_head)
        assert client.read_head().startswith(b'HTTP/1.1 101 ')


@pytest.mark.parametrize('request_head', [
    head(method='POST'), head(method='HEAD'), head(method='CONNECT'),
    head(protocol='HTTP/1.0'), head(protocol='HTTP/1.2'),
    head(drop=['Connection']), head(Connection=''), head(Connection='close'),
    head(drop=['Upgrade']), head(Upgrade='websocket, h2c'), head(Upgrade='h2c'),
    head(drop=['Host']),
    head(drop=['Sec-WebSocket-Key']), head(Sec_WebSocket_Key='YQ=='), head(Sec_WebSocket_Key=KEY + 'x'),
    head(Sec_WebSocket_Key='AQIDBAUGBwgJCgsMDQ4PEC=='), head(Sec_WebSocket_Key=KEY + ',' + KEY),
    head(Sec_WebSocket_Protocol='chat'), head(Sec_WebSocket_Protocol=''), head(Sec_WebSocket_Protocol='a\tb'),
    head(Sec_WebSocket_Extensions='foo; ; '), head(Sec_WebSocket_Extensions=' , '),
    head(drop=['Sec-WebSocket-Version']), head(Sec_WebSocket_Version='13, 13'),
    head(resource='/echo#fragment'),
    b'GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n',
    head(resource='/choose', Sec_WebSocket_Protocol='a, b'),
    head(resource='/choose?protocol=foobar'),
    head(resource='/choose?protocol=not+a+token', Sec_WebSocket_Protocol='a'),
], ids=lambda data: repr(data[:60]))
def test_refused_with_400(server, request_head):
    answer = server.answer(request_head)
    assert answer.startswith(b'HTTP/1.0 400 Bad Request\r\n'), answer


@pytest.mark.parametrize('name, value', [
    ('Content_Length', '5'), ('Content_Length', '-5'), ('Content_Length', 'x'), ('Transfer_Encoding', 'chunked'),
    ('Transfer_Encoding', 'identity')])
def test_a_body_is_refused(server, name, value):
    assert server.answer(head('/echo', **{name: value}) + b'hello').startswith(b'HTTP/1.0 400 ')
    assert server.exchange(head('/echo', Content_Length='0')).startswith(b'HTTP/1.1 101 ')


@pytest.mark.parametrize('version', ['8', '0', '013', '13x', '', 'x'])
def test_other_versions_are_told_ours(server, version):
    status, _, rest = server.answer(head(Sec_WebSocket_Version=version)).partition(b'\r\n')
    headers, _, body = rest.partition(b'\r\n\r\n')
    assert status == b'HTTP/1.0 400 Bad Request'
    assert b'Sec-WebSocket-Version: 13' in headers.split(b'\r\n')
    assert body == b''


def test_an_empty_line_first_gets_no_answer(server):
    assert server.answer(b'\r\n' + head()) == b''


def test_a_resource_without_a_handler_is_a_missing_file(server):
    assert server.answer(head(resource='/nowhere')).startswith(b'HTTP/1.0 404 ')


def test_an_absolute_uri_without_a_host_is_a_missing_file(server):
    assert server.answer(head(resource='ws:///echo')).startswith(b'HTTP/1.0 404 ')


def test_frames_behind_the_head_are_kept(server):
    with server.connect() as client:
        client.send(head() + masked(0x81, b'early') + masked(0x82, b'bird'))
        client.read_head()
        assert client.read_frame() == (0x81, b'early')
        assert client.read_frame() == (0x82, b'bird')


def test_a_head_may_come_byte_by_byte(server):
    with server.connect() as client:
        for byte in head():
            client.send(bytes([byte]))
        assert client.read_head().startswith(b'HTTP/1.1 101 ')


def test_a_subprotocol_that_was_not_asked_for_can_be_chosen_among_others(server):
    with server.connect() as client:
        answer = client.upgrade('/choose?protocol=z', Sec_WebSocket_Protocol='a, b')
        assert b'\r\nSec-WebSocket-Protocol: z' in answer


def test_a_handler_may_forget_that_subprotocols_were_asked_for(server):
    with server.connect() as client:
        assert b'Protocol' not in client.upgrade('/choose?forget=1', Sec_WebSocket_Protocol='a').partition(b'\r\n')[2]


def test_extra_headers_come_last_and_as_they_are(server):
    with server.connect() as client:
        answer = client.upgrade('/choose?cookie=a%3D1&cookie=b%3D2%0D%0AX-Smuggled:+yes')
        assert answer.endswith(b'\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Smuggled: yes')


@pytest.mark.parametrize('offer, agreed', [
    ('permessage-deflate', 'permessage-deflate'),
    ('permessage-deflate; client_max_window_bits', 'permessage-deflate'),
    ('permessage-deflate; client_max_window_bits=10', 'permessage-deflate'),
    ('permessage-deflate; client_no_context_takeover', 'permessage-deflate'),
    ('permessage-deflate; server_max_window_bits=10', 'permessage-deflate; server_max_window_bits=10'),
    ('permessage-deflate; server_max_window_bits="8"', 'permessage-deflate; server_max_window_bits=8'),
    ('permessage-deflate; server_no_context_takeover', 'permessage-deflate; server_no_context_takeover'),
    ('permessage-deflate; server_no_context_takeover; server_max_window_bits=9',
     'permessage-deflate; server_max_window_bits=9; server_no_context_takeover'),
    ('permessage-deflate; x, permessage-deflate', 'permessage-deflate'),
    ('permessage-deflate, permessage-deflate; server_no_context_takeover', 'permessage-deflate'),
    ('permessage-deflate; server_max_window_bits=7', None),
    ('permessage-deflate; server_max_window_bits=16', None),
    ('permessage-deflate; server_max_window_bits=08', None),
    ('permessage-deflate; server_max_window_bits', None),
    ('permessage-deflate; server_no_context_takeover=1', None),
    ('permessage-deflate; client_no_context_takeover=1', None),
    ('permessage-deflate; client_max_window_bits=7', None),
    ('permessage-deflate; unknown', None),
    ('Permessage-Deflate', None),
])
def test_permessage_deflate_is_agreed_on(server, offer, agreed):
    with server.connect() as client:
        lines = client.upgrade(Sec_WebSocket_Extensions=offer).decode().split('\r\n')
        found = [line for line in lines if line.startswith('Sec-WebSocket-Extensions')]
        assert found == ([] if agreed is None else ['Sec-WebSocket-Extensions: ' + agreed])


@pytest.mark.parametrize('wish', ['noext', 'nulled'])
def test_a_handler_may_take_the_processors_away(server, wish):
    with server.connect() as client:
        answer = client.upgrade('/choose?%s=1' % wish, Sec_WebSocket_Extensions='permessage-deflate')
        assert b'Extensions' not in answer


def test_what_a_handler_sees(server):
    import json
    with server.connect() as client:
        client.upgrade('/seen?a=%20b', Origin='http://here', Sec_WebSocket_Protocol='p, q', X_Test='one')
        seen = json.loads(client.read_frame()[1])
    lines = seen.pop('lines')
    assert lines[0] == 'GET /seen?a=%20b HTTP/1.1\r\n' and lines[-1] == '\r\n'
    assert 'Origin: http://here\r\n' in lines and len(lines) == 10
    assert seen.pop('remote') in ('127.0.0.1', '::1')
    assert seen == {
        'uri': '/seen?a=%20b', 'unparsed_uri': '/seen?a=%20b', 'method': 'GET', 'protocol': 'HTTP/1.1',
        'resource': '/seen?a=%20b', 'version': 13, 'origin': 'http://here', 'chosen': 'q',
        'requested': ['p', 'q'], 'x': 'one', 'missing': None, 'https': False, 'extensions': None,
        'local': ['localhost', server.port], 'flags': [False, False],
    }


@pytest.mark.parametrize('lines, seen', [
    ('X-Test: a\r\nX-Test: b', 'a'), ('x-TEST:  a \t', 'a \t'), ('X-Test: a\r\n b', 'a\r\n b'), ('X-Test:', ''),
    ('X-Test: \xe9', '\xe9'),
], ids=repr)
def test_how_a_header_is_read(server, lines, seen):
    import json
    with server.connect() as client:
        client.send(head('/seen').replace(b'\r\n\r\n', b'\r\n' + lines.encode('latin-1') + b'\r\n\r\n'))
        client.read_head()
        assert json.loads(client.read_frame()[1])['x'] == seen


# Without a server.


def test_accept_of_known_keys():
    assert hybi.compute_accept(KEY.encode()) == ACCEPT.encode()
    assert hybi.compute_accept_from_unicode('sN9cRrP/n9NdMgdcy2VJFQ==') == b'fFBooB7FAkLlXgRSz0BT3v4hq5s='


class Request:
    def __init__(self, headers, method='GET', protocol='HTTP/1.1'):
        self.uri, self.method, self.protocol, self.headers_in = '/x', method, protocol, headers

    def is_https(self):
        return True


def headers(**changes):
    fields = {'Host': 'h', 'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Key': KEY,
              'Sec-WebSocket-Version': '13'}
    fields.update({name.replace('_', '-'): value for name, value in changes.items()})
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize('request_, status', [
    (Request(headers(), method='POST'), None),
    (Request(headers(), protocol='HTTP/1.0'), None),
    (Request(headers(Upgrade=None)), None),
    (Request(headers(Sec_WebSocket_Version=None)), None),
    (Request(headers(Sec_WebSocket_Version='13, 8')), 400),
    (Request(headers(Sec_WebSocket_Protocol='')), 400),
    (Request(headers(Sec_WebSocket_Extensions=';')), 400),
    (Request(headers(Sec_WebSocket_Key=None)), 400),
])
def test_the_handshaker_leaves_early_failures_without_a_status(request_, status):
    with pytest.raises(base.HandshakeException) as failure:
        hybi.Handshaker(request_, None).do_handshake()
    assert failure.value.status == status
    with pytest.raises(base.HandshakeException) as failure:
        handshake.do_handshake(request_, None)
    assert failure.value.status == 400


def test_another_handshaker_fills_in_its_own_http():
    sent = []

    class Dispatcher:
        def do_extra_handshake(self, request):
            request.ws_protocol = 'p'

    class Http2(base.HandshakerBase):
        def _protocol_rfc(self):
            return 'RFC 8441'

        def _transform_header(self, header):
            return header.lower()

        def _validate_request(self):
            base.validate_mandatory_header(self._request, ':protocol', 'websocket')

        def _set_accept(self):
            pass

        def _send_handshake(self):
            sent.append((self._request.ws_protocol, self._request.ws_extensions))

    request = Request({':protocol': 'WebSocket', 'sec-websocket-version': '13', 'sec-websocket-protocol': 'p',
                       'sec-websocket-extensions': 'permessage-deflate', 'origin': 'o'}, method='CONNECT')
    Http2(request, Dispatcher()).do_handshake()
    (protocol, extensions), = sent
    assert protocol == 'p' and request.ws_origin == 'o'
    assert mod_pywebsocket.common.format_extensions(extensions) == 'permessage-deflate'


def test_the_host_header_is_taken_apart():
    assert base.parse_host_header(Request({'Host': 'a:81'})) == ('a', 81)
    assert base.parse_host_header(Request({'Host': 'a'})) == ('a', 443)
    with pytest.raises(base.HandshakeException):
        base.parse_host_header(Request({'Host': 'a:b'}))
