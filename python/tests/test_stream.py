"""What a stream receives and sends, whatever is underneath."""

import pytest
from conftest import close, masked, text
from streams import PythonConnection, Request

from mod_pywebsocket import msgutil, stream
from mod_pywebsocket.stream import StreamOptions


def test_messages_come_as_what_they_are(make):
    long = 'ж' * 70000
    request, _ = make(text('') + masked(0x82) + text('日本') + masked(0x82, b'\0\xff') + text(long) + masked(
        0x82, b'b' * 300000) + close(1000, 'done'))
    received = [request.ws_stream.receive_message() for _ in range(7)]
    assert received == ['', b'', '日本', b'\0\xff', long, b'b' * 300000, None]
    assert [type(message) for message in received[:4]] == [str, bytes, str, bytes]
    assert (request.ws_close_code, request.ws_close_reason) == (1000, 'done')
    assert request.client_terminated and request.server_terminated
    with pytest.raises(msgutil.BadOperationException):
        request.ws_stream.receive_message()
    with pytest.raises(msgutil.BadOperationException):
        request.ws_stream.send_message('late')


def test_the_last_opcode_is_told(make):
    request, _ = make(text('a') + masked(0x82, b'b') + text('c', fin=False) + masked(0x89) + masked(0x80) + close())
    opcodes = []
    for _ in range(4):
        request.ws_stream.receive_message()
        opcodes.append(request.ws_stream.get_last_received_opcode())
    assert opcodes == [1, 2, 1, 8]


def test_fragments_are_put_together_and_control_frames_may_come_between(make):
    request, sent = make(text('Hel', fin=False) + masked(0x89, b'ping') + masked(0x00, b'l') + masked(0x8a, b'?')
                         + masked(0x80, b'o') + text('next'))
    assert request.ws_stream.receive_message() == 'Hello'
    assert request.ws_stream.receive_message() == 'next'
    assert sent() == b'\x8a\x04ping'


def test_a_close_may_come_between_fragments(make):
    request, sent = make(text('Hel', fin=False) + close(1001))
    assert request.ws_stream.receive_message() is None
    assert request.ws_close_code == 1001
    assert sent() == b'\x88\x02\x03\xe8'


@pytest.mark.parametrize('data, exception', [
    (b'', msgutil.ConnectionTerminatedException),
    (b'\x81', msgutil.ConnectionTerminatedException),
    (masked(0x81, b'abc', length=4), msgutil.ConnectionTerminatedException),
    (masked(0x82, b'x' * 100000, length=200000), msgutil.ConnectionTerminatedException),
    (b'\x81\x00', msgutil.InvalidFrameException),
    (masked(0x80), msgutil.InvalidFrameException),
    (masked(0x01) + masked(0x82), msgutil.InvalidFrameException),
    (masked(0x08), msgutil.InvalidFrameException),
    (masked(0x88, b'x'), msgutil.InvalidFrameException),
    (masked(0x8a, b'x' * 126), msgutil.InvalidFrameException),
    (b'\x82\xff\xff\0\0\0\0\0\0\0\1\2\3\4', msgutil.InvalidFrameException),
    (masked(0x83), msgutil.UnsupportedFrameException),
    (masked(0xc2), msgutil.UnsupportedFrameException),
    (masked(0x81, b'\xc0\x80'), stream.InvalidUTF8Exception),
    (masked(0x81, b'\xe6\x97'), stream.InvalidUTF8Exception),
    (masked(0x81, b'a' * 200000 + b'\xff'), stream.InvalidUTF8Exception),
    (masked(0x01, b'\xe6') + masked(0x80), stream.InvalidUTF8Exception),
    (masked(0x01, b'\xe6') + masked(0x00, b'\x20'), stream.InvalidUTF8Exception),
], ids=lambda value: repr(value)[:40])
def test_what_breaks_the_protocol_raises(make, data, exception):
    request, _ = make(data)
    with pytest.raises(exception) as failure:
        request.ws_stream.receive_message()
    assert type(failure.value) is exception


def test_a_stream_survives_an_unsupported_frame(make):
    request, _ = make(masked(0x8b, b'skip') + text('a') + masked(0xa1, b'skip') + text('b'))
    received = []
    for _ in range(4):
        try:
            received.append(request.ws_stream.receive_message())
        except msgutil.UnsupportedFrameException:
            received.append(None)
    assert received == [None, 'a', None, 'b']


def test_a_length_need_not_be_in_its_shortest_form(make):
    request, _ = make(b'\x81\xfe\x00\x01\0\0\0\0a' + b'\x82\xff\0\0\0\0\0\0\0\x02\0\0\0\0bc')
    assert request.ws_stream.receive_message() == 'a'
    assert request.ws_stream.receive_message() == b'bc'


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_frames_and_messages_share_one_state(make):
    request, _ = make(text('one', fin=False) + masked(0x80, b'!') + text('two') + masked(0x82, b'three') + b'rest')
    frame = request.ws_stream._receive_frame_as_frame_object()
    assert request.ws_stream._get_message_from_frame(frame) is None
    assert request.ws_stream.receive_message() == 'one!'
    assert request.ws_stream._receive_frame() == (1, b'two', 1, 0, 0, 0)
    assert request.ws_stream.receive_filtered_frame().payload == b'three'
    assert request.ws_stream.receive_bytes(3) == b'res'
    assert request.connection.read(10) == b't'
    assert request.connection.read(10) == b''
    with pytest.raises(msgutil.ConnectionTerminatedException):
        request.ws_stream.receive_bytes(1)


def test_what_is_sent(make):
    request, sent = make()
    request.ws_stream.send_message('Hello')
    request.ws_stream.send_message('', end=False)
    request.ws_stream.send_message('мир', end=False)
    request.ws_stream.send_message('!')
    request.ws_stream.send_message(b'b' * 126, binary=True)
    request.ws_stream.send_message(bytearray(b'ba'), binary=True)
    request.ws_stream.send_message(memoryview(b'mv'), binary=True)
    request.ws_stream.send_message(b'w' * 65536, binary=True)
    request.ws_stream.send_ping('p')
    request.ws_stream.close_connection(1001, 'gone')
    assert sent() == (
        b'\x81\x05Hello\x01\x00\x00\x06' + 'мир'.encode() + b'\x80\x01!\x82\x7e\x00\x7e' + b'b' * 126
        + b'\x82\x02ba\x82\x02mv\x82\x7f\0\0\0\0\0\1\0\0' + b'w' * 65536 + b'\x89\x01p\x88\x06\x03\xe9gone')


@pytest.mark.parametrize('message, binary, exception', [
    (b'bytes', False, AttributeError), (None, False, AttributeError), (5, False, AttributeError),
    ('text', True, msgutil.BadOperationException), ('\ud800', False, msgutil.BadOperationException),
    (5, True, TypeError),
])
def test_what_cannot_be_sent(make, message, binary, exception):
    request, sent = make()
    with pytest.raises(exception):
        request.ws_stream.send_message(message, binary=binary)
    request.ws_stream.send_message('fine')
    assert sent() == b'\x81\x04fine'


def test_a_message_does_not_change_its_kind(make):
    request, _ = make()
    request.ws_stream.send_message('a', end=False)
    with pytest.raises(msgutil.BadOperationException):
        request.ws_stream.send_message(b'b', binary=True)


@pytest.mark.parametrize('arguments, exception', [
    ((None, 'reason'), msgutil.BadOperationException), ((999, ''), msgutil.BadOperationException),
    ((1005, ''), msgutil.BadOperationException), ((5000, ''), msgutil.BadOperationException),
    ((1000, 'x' * 124), msgutil.BadOperationException), ((1000, 5), msgutil.BadOperationException),
    ((1000, None), msgutil.BadOperationException), ((1000, b'bytes'), AttributeError),
])
def test_a_close_is_checked(make, arguments, exception):
    request, sent = make()
    with pytest.raises(exception):
        request.ws_stream.close_connection(*arguments)
    assert not request.server_terminated
    assert sent() == b''


def test_a_close_waits_for_its_answer(make):
    request, _ = make(masked(0x89, b'x') + close(1000))
    request.ws_stream.close_connection()
    assert request.client_terminated
    request.ws_stream.close_connection(1011)

    request, _ = make(text('not an answer'))
    with pytest.raises(msgutil.ConnectionTerminatedException):
        request.ws_stream.close_connection()

    request, _ = make()
    request.ws_stream.close_connection(wait_response=False)


def test_pings_do_not_prolong_the_wait_for_the_answer_to_a_close():
    waits = []

    class Raw:
        def gettimeout(self):
            return None

        def settimeout(self, seconds):
            waits.append(seconds)

    class Handler:
        connection = Raw()

    options = StreamOptions()
    options.close_timeout = 100
    request = Request(PythonConnection(masked(0x89) + masked(0x89) + close()), options)
    request._request_handler = Handler
    request.ws_stream.close_connection()
    # What is left of it, again and again; afterwards for ever, as before.
    while_waiting = waits[:-1]
    assert waits[0] == 100 and waits[-1] is None and len(while_waiting) >= 4
    assert while_waiting == sorted(while_waiting, reverse=True) and while_waiting[-1] < 100


def test_a_ping_handler_answers_itself(make):
    request, sent = make(masked(0x89, b'q') + text('m'))
    calls = []
    request.on_ping_handler = lambda request, body: calls.append(body)
    assert request.ws_stream.receive_message() == 'm'
    assert calls == [b'q'] and sent() == b''


def test_an_attribute_error_in_a_ping_handler_means_a_pong(make):
    request, sent = make(masked(0x89, b'q') + text('m'))
    request.on_ping_handler = lambda request, body: request.no_such_thing
    request.ws_stream.receive_message()
    assert sent() == b'\x8a\x01q'


def test_pongs_answer_pings(make):
    request, _ = make(masked(0x8a, b'2') + masked(0x8a, b'?') + text('m'))
    for body in ('1', '2', '3'):
        request.ws_stream.send_ping(body)
    request.ws_stream.receive_message()
    assert list(request.ws_stream._ping_queue) == [b'3']


def test_pongs_are_told(make):
    request, _ = make(masked(0x8a, b'2') + text('m'))
    request.on_pong_handler = lambda request, body: setattr(request, 'pong', body)
    request.ws_stream.receive_message()
    assert request.pong == b'2'


def test_pongs_of_the_servers_own_pings_are_not_told_but_a_handlers_are(make):
    pongs = []
    request, _ = make(masked(0x8a, b'keepalive') + masked(0x8a, b'keepalive') + text('m'))
    request.on_pong_handler = lambda request, body: pongs.append(body)
    request.ws_stream.send_ping('keepalive')
    request.ws_stream.receive_message()
    assert pongs == [b'keepalive']


@pytest.mark.parametrize('data', [
    text('x' * 1001), masked(0x82, b'', length=1 << 40), text('x' * 600, False) + masked(0x80, b'x' * 401),
    text('x' * 600, False) + masked(0x00, b'x' * 400) + masked(0x80, b'y'),
], ids=['frame', 'announced', 'fragments', 'one more'])
def test_a_message_above_the_limit_is_too_big(make, data):
    options = StreamOptions()
    options.max_message_bytes = 1000
    in_fragments = text('x' * 600, False) + masked(0x89, b'p' * 125) + masked(0x00, b'x' * 400) + masked(
        0x89, b'p' * 125) + masked(0x80)
    request, _ = make(text('x' * 1000) + in_fragments * 2 + data, options)
    for _ in range(3):
        assert request.ws_stream.receive_message() == 'x' * 1000
    with pytest.raises(stream.MessageTooBigException):
        request.ws_stream.receive_message()


def test_options_of_somebody_else_need_not_have_what_is_ours(make):
    class Options:
        __slots__ = ('outgoing_frame_filters', 'incoming_frame_filters', 'outgoing_message_filters',
                     'incoming_message_filters', 'encode_text_message_to_utf8', 'mask_send', 'unmask_receive')

    options, usual = Options(), StreamOptions()
    for name in Options.__slots__:
        setattr(options, name, getattr(usual, name))
    request, sent = make(text('x' * 1000) + masked(0x89, b'p') + text('y', False) + masked(0x80, b'y') + close(1000), options)
    assert request.ws_stream.receive_message() == 'x' * 1000
    assert request.ws_stream.receive_message() == 'yy'
    request.ws_stream.close_connection()
    assert request.client_terminated and request.server_terminated


def test_filters_see_everything(make):
    seen = []

    class Frames:
        def filter(self, frame):
            seen.append(frame.opcode)
            frame.payload = frame.payload.upper()

    class Incoming:
        def filter(self, message):
            return message + b'.'

    class Outgoing:
        def filter(self, message, end, binary):
            seen.append((message, end, binary))
            return message * 2

    options = StreamOptions()
    options.incoming_frame_filters.append(Frames())
    options.incoming_message_filters.append(Incoming())
    options.outgoing_message_filters.append(Outgoing())
    options.outgoing_frame_filters.append(Frames())
    request, sent = make(text('in') + masked(0x89, b'p'), options)
    assert request.ws_stream.receive_message() == 'IN.'
    request.ws_stream.send_message('out')
    with pytest.raises(msgutil.ConnectionTerminatedException):
        request.ws_stream.receive_message()
    assert seen == [1, ('out', True, False), 1, 9, 10]
    assert sent() == b'\x81\x06OUTOUT\x8a\x02P.'


def test_a_client_masks(make):
    options = StreamOptions()
    options.mask_send, options.unmask_receive = True, False
    request, sent = make(b'\x81\x02hi', options)
    assert request.ws_stream.receive_message() == 'hi'
    request.ws_stream.send_message('hi')
    answer = sent()
    assert answer[:2] == b'\x81\x82' and len(answer) == 8
    assert bytes(a ^ b for a, b in zip(answer[6:], answer[2:6])) == b'hi'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_message_sender_and_a_receiver(make):
    request, sent = make(text('a') + masked(0x82, b'b') + close())
    receiver = msgutil.MessageReceiver(request)
    assert [receiver.receive() for _ in range(3)] == ['a', b'b', None]
    receiver.join()
    assert receiver.receive_nowait() is None
    request, sent = make()
    sender = msgutil.MessageSender(request)
    sender.send_nowait('one')
    sender.send('two')
    assert sent() == b'\x81\x03one\x81\x03two'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_message_sender_whose_thread_died_does_not_hang(make):
    request, _ = make()
    sender = msgutil.MessageSender(request)
    with pytest.raises(AttributeError):
        sender.send(5)
    sender.join()
    with pytest.raises(AttributeError):
        sender.send('late')
