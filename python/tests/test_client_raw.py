"""For those who misbehave: frames, bytes and handshakes of every kind, and what is known afterwards."""

import threading

import linkspan
import pytest
from by_hand import peer
from conftest import ECHO, PATIENCE, serve_module

server = serve_module({'echo': ECHO})


@pytest.fixture
def url(server):
    return 'ws://localhost:%d/echo' % server.port


@pytest.mark.parametrize('arguments, options, expected', [
    # RFC 6455 5.7, its own examples.
    ((1, 'Hello'), {'mask': False}, '810548656c6c6f'),
    ((1, 'Hello'), {'mask': b'\x37\xfa\x21\x3d'}, '818537fa213d7f9f4d5158'),
    ((1, 'Hel'), {'mask': False, 'fin': False}, '010348656c'),
    ((9, b'Hello'), {'mask': False}, '890548656c6c6f'),
    ((2, bytes(256)), {'mask': False}, '827e0100' + '00' * 256),
    ((2, bytes(65536)), {'mask': False}, '827f0000000000010000' + '00' * 65536),
    # And what no rule allows.
    ((3,), {'mask': False}, '8300'),
    ((15, '', ), {'mask': False, 'rsv': 7, 'fin': False}, '7f00'),
    ((8, bytes(126)), {'mask': False}, '887e007e' + '00' * 126),
    ((1, 'a'), {'mask': False, 'length': 5}, '810561'),
    ((1, 'abc'), {'mask': False, 'length': 0}, '8100616263'),
    ((2,), {'mask': False, 'length': (1 << 64) - 1}, '827fffffffffffffffff'),
])
def test_a_frame_is_what_was_asked_for(arguments, options, expected):
    assert linkspan.frame(*arguments, **options).hex() == expected


def test_a_mask_is_fresh_for_each_frame():
    frames = {linkspan.frame(1, 'abcd') for _ in range(50)}
    assert len(frames) == 50
    for frame in frames:
        key = frame[2:6]
        assert frame[:2] == b'\x81\x84'
        assert bytes(a ^ b for a, b in zip(frame[6:], key)) == b'abcd'


@pytest.mark.parametrize('arguments, options', [
    ((16,), {}), ((-1,), {}), ((1,), {'rsv': 8}), ((1,), {'rsv': -1}), ((1,), {'mask': b'abc'}),
    ((1,), {'length': -1}), ((1,), {'length': 1 << 64}),
])
def test_what_no_header_can_say_is_refused(arguments, options):
    with pytest.raises(ValueError):
        linkspan.frame(*arguments, **options)


@pytest.mark.parametrize('send, code', [
    (lambda ws: ws.send_frame(1, b'\xff'), 1007),
    (lambda ws: ws.send_frame(1, 'unmasked', mask=False), 1002),
    (lambda ws: ws.send_frame(1, 'x', rsv=4), 1003),
    (lambda ws: ws.send_frame(9, b'x' * 126), 1002),
    (lambda ws: ws.send_frame(0, 'nothing to continue'), 1002),
    (lambda ws: ws.send_frame(8, b'\x03\xec'), 1002),
    (lambda ws: ws.send_frame(8, b'\x0b\xb8bye'), 1000),
])
def test_the_server_judges_what_was_sent_raw(url, send, code):
    ws = linkspan.connect(url)
    ws.send('good')
    assert ws.receive(PATIENCE) == 'good'
    send(ws)
    with pytest.raises(linkspan.ConnectionClosed) as told:
        ws.receive(PATIENCE)
    # Nobody knows what the server took it for.
    assert (told.value.code, told.value.clean, ws.close_code) == (code, False, code)


def test_good_frames_by_hand_and_by_the_engine_mix(url):
    with linkspan.connect(url) as ws:
        ws.send_frame(1, 'ha', fin=False)
        ws.ping('in between')
        ws.send_raw(linkspan.frame(0, 'lf'))
        ws.send('whole')
        whole = linkspan.frame(2, b'in two writes')
        ws.send_raw(whole[:3])
        ws.send_raw(bytearray(whole[3:]))
        assert [ws.receive(PATIENCE) for _ in range(3)] == ['half', 'whole', b'in two writes']


def test_raw_bytes_after_the_end_are_refused(url):
    ws = linkspan.connect(url)
    ws.close()
    with pytest.raises(linkspan.ConnectionClosed):
        ws.send_frame(1, 'late')


def test_frames_are_seen_as_they_come():
    stream = (b'\x01\x02he\x89\x01?\x80\x03llo\xf3\x00\x81\x81\x01\x02\x03\x04\x60\x82\x7e\x00\x7e' + bytes(126)
              + b'\x88\x02\x03\xe8')

    def handler(client):
        client.upgrade()
        for byte in stream[:20]:
            client.send(bytes([byte]))
        client.send(stream[20:])

    with peer(handler) as port:
        with linkspan.connect('ws://localhost:%d/' % port).detach() as raw:
            frames = []
            while True:
                frame = raw.receive_frame(PATIENCE)
                if frame is None:
                    break
                frames.append(frame)
    assert frames == [
        linkspan.Frame(1, b'he', False, 0, None),
        linkspan.Frame(9, b'?', True, 0, None),
        linkspan.Frame(0, b'llo', True, 0, None),
        linkspan.Frame(3, b'', True, 7, None),
        linkspan.Frame(1, b'a', True, 0, b'\x01\x02\x03\x04'),
        linkspan.Frame(2, bytes(126), True, 0, None),
        linkspan.Frame(8, b'\x03\xe8', True, 0, None),
    ]
    assert frames[0].fin is False and frames[0].opcode == 1 and frames[0].payload == b'he'


def test_what_is_no_frame_can_still_be_read():
    def handler(client):
        client.upgrade()
        client.send(b'\x82\x7e\x00\x01x')
        client.sock.shutdown(1)
        client.read_all()

    with peer(handler) as port:
        with linkspan.connect('ws://localhost:%d/' % port).detach() as raw:
            for _ in range(2):
                with pytest.raises(linkspan.Error, match='more bytes than it needs.*receive\\(\\) gives the bytes'):
                    raw.receive_frame(PATIENCE)
            assert raw.receive(3, PATIENCE) == b'\x82\x7e\x00'
            assert raw.receive(timeout=PATIENCE) == b'\x01x'
            assert raw.receive(timeout=PATIENCE) == b''


def test_a_frame_above_the_limit_is_not_kept():
    def handler(client):
        client.upgrade()
        client.send(b'\x82\x7f' + (1 << 40).to_bytes(8, 'big'))
        client.read_all()

    with peer(handler) as port:
        with linkspan.connect('ws://localhost:%d/' % port, max_message_bytes=1000).detach() as raw:
            with pytest.raises(linkspan.Error, match='above the limit of 1000'):
                raw.receive_frame(PATIENCE)


def test_a_frame_that_is_cut_is_told():
    def handler(client):
        client.upgrade()
        client.send(b'\x82\x05abc')

    with peer(handler) as port:
        with linkspan.connect('ws://localhost:%d/' % port).detach() as raw:
            with pytest.raises(linkspan.ConnectionClosed, match='inside of a frame, after 5 bytes'):
                raw.receive_frame(PATIENCE)


def test_a_detached_connection_answers_nothing_and_has_what_was_read():
    def handler(client):
        client.upgrade()
        client.send(b'\x81\x03one\x81\x03two\x89\x00\x88\x00')
        assert client.read_frame() == (0x82, b'mine')
        assert client.read_frame() is None

    with peer(handler) as port:
        with linkspan.connect('ws://localhost:%d/' % port) as ws:
            assert ws.receive(PATIENCE) == 'one'
            raw = ws.detach()
            for call in [ws.receive, ws.detach, ws.close, lambda: ws.send('x'), lambda: ws.close_code]:
                with pytest.raises(linkspan.Error, match='was detached'):
                    call()
            assert [raw.receive_frame(PATIENCE).opcode for _ in range(3)] == [1, 9, 8]
            with pytest.raises(linkspan.TimedOut):
                raw.receive_frame(timeout=0.01)
            raw.send_frame(2, b'mine')
        raw.end_sending()
        assert raw.receive_frame(PATIENCE) is None
        raw.close()


def test_half_of_a_message_is_not_detached():
    def handler(client):
        client.upgrade()
        client.send(b'\x01\x01a\x89\x00')
        assert client.read_frame() == (0x8a, b'')
        half_is_read.set()
        assert go_on.wait(PATIENCE)
        client.send(b'\x80\x01b')
        client.close()

    half_is_read, go_on = threading.Event(), threading.Event()
    with peer(handler) as port:
        ws = linkspan.connect('ws://localhost:%d/' % port)
        while not half_is_read.is_set():
            with pytest.raises(linkspan.TimedOut):
                ws.receive(0.01)
        with pytest.raises(linkspan.Error, match='between two messages'):
            ws.detach()
        go_on.set()
        assert list(ws) == ['ab']


def test_a_handshake_by_hand(url):
    with linkspan.connect_raw(url) as raw:
        request = linkspan.opening_request(url, key='dGhlIHNhbXBsZSBub25jZQ==', headers={'X': 'y'})
        assert b'\r\nX: y\r\n' in request and request.endswith(b'\r\n\r\n')
        raw.send(request)
        answer = raw.receive_head(PATIENCE)
        assert answer.startswith(b'HTTP/1.1 101 ') and answer.endswith(b'\r\n\r\n')
        assert b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' in answer
        raw.send_frame(1, 'open')
        assert raw.receive_frame(PATIENCE).payload == b'open'


@pytest.mark.parametrize('spoil, status', [
    (lambda request: request.replace(b'Version: 13', b'Version: 12'), 400),
    (lambda request: request.replace(b'Upgrade: websocket', b'Upgrade: h2c'), 400),
    (lambda request: request.replace(b'GET ', b'PUT '), 400),
])
def test_a_broken_handshake(url, spoil, status):
    with linkspan.connect_raw(url) as raw:
        raw.send(spoil(linkspan.opening_request(url)))
        assert int(raw.receive_head(PATIENCE).split()[1]) >= status


def test_nothing_is_said_before_you_do():
    def handler(client):
        assert client.read(5) == b'mine!'
        client.send(b'HTTP/1.1 200 OK\r\n')

    with peer(handler) as port:
        with linkspan.connect_raw('ws://localhost:%d/' % port) as raw:
            raw.send(b'mine!')
            with pytest.raises(linkspan.ConnectionClosed, match='inside of a head'):
                raw.receive_head(PATIENCE)


def test_a_key_that_is_none_and_a_head_without_end():
    with pytest.raises(ValueError, match='Sec-WebSocket-Key'):
        linkspan.opening_request('ws://a/', key='short')

    def handler(client):
        client.send(b'x' * 70_000)
        client.read_all()

    with peer(handler) as port:
        with linkspan.connect_raw('ws://localhost:%d/' % port) as raw:
            with pytest.raises(linkspan.Error, match='no head ends within 65536 bytes'):
                raw.receive_head(PATIENCE)
