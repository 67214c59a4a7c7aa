"""A handler's life: what its hooks may do, and what each way of ending looks like to the client."""

import struct

import pytest
from conftest import close, head, masked, serve_module, text

HANDSHAKE = '''
import sys
from pywebsocket3 import common, msgutil, stream
from pywebsocket3.handshake import AbortedByUserException, HandshakeException, VersionException, hybi

def web_socket_do_extra_handshake(request):
    what = request.uri.partition('?')[2]
    if what == 'abort':
        raise AbortedByUserException('no more')
    if what == 'raw-abort':
        request.connection.write(b'HTTP/1.1 418 Teapot\\r\\n\\r\\n')
        raise AbortedByUserException('answered by hand')
    if what == 'raw':
        request.connection.write(b'before')
    if what == 'raw-str':
        request.connection.write('text')
    if what == 'status':
        raise HandshakeException('mine', status=401)
    if what == 'version':
        raise VersionException('mine')
    if what == 'value':
        raise ValueError('mine')
    if what == 'send':
        msgutil.send_message(request, 'too early')
    if what == 'exit':
        sys.exit(3)
    if what == 'simple':
        accept = hybi.compute_accept_from_unicode(request.headers_in[common.SEC_WEBSOCKET_KEY_HEADER])
        request.connection.write(
            b'HTTP/1.1 101 By Hand\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: '
            + accept + b'\\r\\n\\r\\n' + stream.create_close_frame(stream.create_closing_handshake_body(1001, '')))
        request.connection.read(8)
        raise AbortedByUserException('by hand')

def web_socket_transfer_data(request):
    pass
'''

TRANSFER = '''
import sys
from mod_pywebsocket import common, msgutil, stream, util
from mod_pywebsocket.handshake import AbortedByUserException, HandshakeException

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    what = request.uri.partition('?')[2]
    if what == 'abort':
        raise AbortedByUserException('no more')
    if what == 'bad-operation':
        raise msgutil.BadOperationException('mine')
    if what == 'invalid-frame':
        raise msgutil.InvalidFrameException('mine')
    if what == 'unsupported':
        raise msgutil.UnsupportedFrameException('mine')
    if what == 'utf8':
        raise stream.InvalidUTF8Exception('mine')
    if what == 'terminated':
        raise msgutil.ConnectionTerminatedException('mine')
    if what == 'handshake':
        raise HandshakeException('mine', 401)
    if what == 'value':
        raise ValueError('mine')
    if what == 'exit':
        sys.exit(3)
    if what == 'twice':
        while request.ws_stream.receive_message() is not None:
            pass
        request.ws_stream.receive_message()
    if what == 'server-terminated':
        request.connection.write(b'\\x88\\x00')
        request.server_terminated = True
    if what == 'client-terminated':
        request.client_terminated = True
        request.ws_stream.receive_message()
    if what == 'close-none':
        request.ws_stream.close_connection(None, None)
    if what == 'close-code':
        request.ws_stream.close_connection(3333, 'r')
        request.ws_stream.close_connection(3334, 'ignored')
    if what == 'going-away':
        request.ws_stream.close_connection(common.STATUS_GOING_AWAY)
    if what == 'ping':
        request.on_pong_handler = lambda request, body: request.ws_stream.send_message(body.decode())
        request.ws_stream.send_ping('p')
        request.ws_stream.receive_message()
    if what == 'frames':
        request.connection.write(stream.create_header(1, 2, 1, 0, 0, 0, 0) + b'hi')
        request.connection.write(stream.create_text_frame('part', fin=0) + stream.create_text_frame(
            'end', opcode=common.OPCODE_CONTINUATION))
        request.ws_stream._send_pong(b'pong')
        request.ws_stream._write(util.pack_byte(0x82) + util.pack_byte(1) + b'x')
'''

PASSIVE = '''
import sys
from mod_pywebsocket import msgutil, stream
from mod_pywebsocket.handshake import AbortedByUserException

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.ws_stream.receive_message()

def web_socket_passive_closing_handshake(request):
    what = request.uri.partition('?')[2]
    if what == 'echo':
        return request.ws_close_code, request.ws_close_reason
    if what == 'abort':
        raise AbortedByUserException('no answer')
    if what == 'first':
        request.ws_stream.send_message('last words')
        return 1000, ''
    if what == 'raise':
        raise ValueError('mine')
    if what == 'unsupported':
        raise msgutil.UnsupportedFrameException('mine')
    return eval(what.replace('%20', ' '))
'''

BY_HAND = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    opcode, payload, final, rsv1, rsv2, rsv3 = request.ws_stream._receive_frame()
    request.ws_stream.send_message('%d %r %d' % (opcode, payload, final))
    request.ws_stream.send_message(repr(request.ws_stream.receive_message()))
    frame = request.ws_stream._receive_frame_as_frame_object()
    request.ws_stream.send_message('%d %r' % (frame.opcode, frame.payload))
    request.ws_stream.send_message(repr(request.connection.read(3)))
'''

server = serve_module({'handshake': HANDSHAKE, 'transfer': TRANSFER, 'passive': PASSIVE}, also_async=True)


@pytest.mark.parametrize('what, answer', [
    ('abort', b''),
    ('raw-abort', b'HTTP/1.1 418 Teapot\r\n\r\n'),
    ('raw', b'beforeHTTP/1.1 101 '),
    ('raw-str', b'HTTP/1.0 403 Forbidden\r\n'),
    ('status', b'HTTP/1.0 403 '),
    ('version', b'HTTP/1.0 403 '),
    ('value', b'HTTP/1.0 403 '),
    ('send', b'HTTP/1.0 403 '),
    ('exit', b''),
])
def test_the_first_hook_decides(server, what, answer):
    got = server.exchange(head('/handshake?' + what))
    assert got.startswith(answer) and (answer or not got), got


def test_a_handshake_by_hand(server):
    with server.connect() as client:
        assert b'By Hand' in client.upgrade('/handshake?simple')
        assert client.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''


@pytest.mark.parametrize('what, code', [
    ('return', 1000), ('abort', 1006), ('bad-operation', 1011), ('invalid-frame', 1002), ('unsupported', 1003),
    ('utf8', 1007), ('terminated', 1006), ('handshake', 1006), ('value', 1006), ('exit', 1006),
    ('server-terminated', None), ('client-terminated', 1011), ('close-none', None), ('close-code', 3333),
    ('going-away', 1001),
])
def test_the_second_hook_ends(server, what, code):
    with server.connect() as client:
        client.upgrade('/transfer?' + what)
        assert client.read_close() == code
        # The last two are not to be answered.
        if code not in (1006, 1001, 1002):
            client.send(close(code))
        assert client.read_all() == b''


def test_a_message_after_the_end_of_the_handler_ends_the_connection(server):
    with server.connect() as client:
        client.upgrade('/transfer?return')
        assert client.read_close() == 1000
        client.send(text('still talking'))
        assert client.read_all() == b''


def test_pings_are_answered_while_waiting_for_the_close(server):
    with server.connect() as client:
        client.upgrade('/transfer?return')
        assert client.read_close() == 1000
        client.send(masked(0x89, b'here?'))
        assert client.read_frame() == (0x8a, b'here?')
        client.send(close())
        assert client.read_all() == b''


def test_receiving_after_the_close_sends_nothing_more(server):
    with server.connect() as client:
        client.upgrade('/transfer?twice')
        client.send(close(1000))
        assert client.read_close() == 1000
        assert client.read_all() == b''


def test_a_handler_that_raises_is_in_the_log(server):
    with server.connect() as client:
        client.upgrade('/transfer?value')
        assert client.read_all() == b''
    log = server.log()
    assert 'web_socket_transfer_data raised exception for /transfer?value: mine' in log
    assert 'Traceback' in log and 'transfer_wsh.py", line' in log


def test_a_ping_and_its_pong(server):
    with server.connect() as client:
        client.upgrade('/transfer?ping')
        assert client.read_frame() == (0x89, b'p')
        client.send(masked(0x8a, b'p') + text('go on'))
        assert client.read_frame() == (0x81, b'p')


def test_frames_by_hand_arrive_as_they_are(server):
    with server.connect() as client:
        client.upgrade('/transfer?frames')
        frames = [client.read_frame() for _ in range(5)]
    assert frames == [(0x81, b'hi'), (0x01, b'part'), (0x80, b'end'), (0x8a, b'pong'), (0x82, b'x')]


def test_frames_messages_and_bytes_can_be_read_in_turn(start):
    with start({'by_hand': BY_HAND}).connect() as client:
        client.upgrade('/by_hand')
        client.send(text('one') + text('two') + masked(0x8f, b'three') + b'raw')
        assert [client.read_frame()[1] for _ in range(4)] == [b"1 b'one' 1", b"'two'", b"15 b'three'", b"b'raw'"]


@pytest.mark.parametrize('what, code, reason', [
    ('echo', 3000, b'bye'), ('(1000,"")', 1000, b''), ('(4999,"x")', 4999, b'x'), ('(1004,"")', 1004, b''),
    ('(None,None)', None, b''), ('(None,"")', None, b''), ('(None,"text")', None, b''), ('(1000,None)', 1000, b''),
    ('(1005,"")', 1011, b''), ('(1006,"")', 1011, b''), ('(1015,"")', 1011, b''), ('(999,"")', 1011, b''),
    ('(5000,"")', 1011, b''), ('(1000,"x"*124)', 1011, b''), ('unsupported', 1003, b''),
    ('None', 1006, b''), ('1000', 1006, b''), ('(1,2,3)', 1006, b''), ('("1000","")', 1006, b''),
    ('(1000,b"x")', 1006, b''), ('abort', 1006, b''), ('raise', 1006, b''),
])
def test_the_third_hook_answers_a_close(server, what, code, reason):
    with server.connect() as client:
        client.upgrade('/passive?' + what.replace(' ', '%20'))
        client.send(close(3000, 'bye'))
        frame = client.read_frame()
        if code == 1006:
            assert frame is None
        else:
            assert frame == (0x88, b'' if code is None else struct.pack('!H', code) + reason)
        assert client.read_all() == b''


def test_the_third_hook_may_send_first(server):
    with server.connect() as client:
        client.upgrade('/passive?first')
        client.send(close(1000))
        assert client.read_frame() == (0x81, b'last words')
        assert client.read_close() == 1000


@pytest.mark.parametrize('code', [0, 999, 1004, 1005, 1006, 1016, 2000, 2999, 5000, 65535])
def test_a_code_that_nobody_may_send_is_answered_by_1002(server, code):
    with server.connect() as client:
        client.upgrade('/passive?echo')
        client.send(masked(0x88, struct.pack('!H', code)))
        assert client.read_close() == 1002


@pytest.mark.parametrize('reason', [b'\xff', b'cut \xc3'])
def test_a_reason_that_is_not_utf8_is_answered_by_1007(server, reason):
    with server.connect() as client:
        client.upgrade('/passive?echo')
        client.send(masked(0x88, b'\x03\xe8' + reason))
        assert client.read_close() == 1007


@pytest.mark.parametrize('frame, code', [
    (b'\x81\x02hi', 1002), (b'\x81\x64', 1002),
    (masked(0x81, b'\xff'), 1007),
    (masked(0x81, b'\xed\xa0\x80'), 1007),
    (masked(0x01, b'\xff'), 1007),
    (masked(0x83), 1003), (masked(0x8b), 1003), (masked(0xc1), 1003), (masked(0xa1), 1003), (masked(0x91), 1003),
    (masked(0xc9), 1003),
    (masked(0x80), 1002), (masked(0x01) + masked(0x81), 1002), (masked(0x09), 1002),
    (masked(0x89, b'x' * 126), 1002), (masked(0x88, b'x'), 1002),
    (b'\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4', 1002),
], ids=repr)
def test_a_bad_frame_has_its_close_code(server, frame, code):
    with server.connect() as client:
        client.upgrade('/passive?echo')
        client.send(frame)
        assert client.read_close() == code


@pytest.mark.parametrize('parts', [
    [masked(0x81, b'good' + b'\xff' + b'more' * 10, length=100000)],
    # 'good' is whole keys long, so the next byte is masked with the first of it.
    [masked(0x81, b'good', length=50), bytes([0xff ^ 0x11])],
    [masked(0x01, b'good'), masked(0x00, b'\xf4\x90', length=3)],
    [masked(0x01, b'good'), masked(0x00, b'\xff')],
], ids=['at once', 'later in the frame', 'in a fragment', 'a fragment'])
def test_a_bad_byte_fails_a_text_before_its_end(server, parts):
    logged = len(server.log())
    with server.connect() as client:
        client.upgrade('/passive?echo')
        for part in parts:
            client.send(part)
        assert client.read_close() == 1007
        # Nobody can tell what follows, so nobody waits for it.
        assert client.read_all() == b''
    assert 'InvalidUTF8' not in server.log()[logged:]


@pytest.mark.parametrize('frames, code', [
    (masked(0x80, b'\xff'), 1002),
    (masked(0x00, b'\xff'), 1002),
    (masked(0x02, b'\xff') + masked(0x80, b'\xff'), 1000),
    (masked(0x01, b'a') + masked(0x01, b'\xff'), 1002),
    (masked(0xc1, b'\xff'), 1003),
    (masked(0x01, b'a') + masked(0xc0, b'\xff'), 1003),
], ids=repr)
def test_bytes_that_are_no_text_are_not_judged_as_one(server, frames, code):
    with server.connect() as client:
        client.upgrade('/passive?(None,None)')
        client.send(frames)
        assert client.read_close() == code
