"""Streams without a server: over a connection in Python, and over a native one."""

import socket
import struct
import threading
import zlib

import pytest
from conftest import close, masked, text

from linkspan._linkspan import Channel
from mod_pywebsocket import common, extensions, msgutil, stream
from mod_pywebsocket._async_stream import AsyncStream
from mod_pywebsocket._connection import _StandaloneConnection
from mod_pywebsocket._loop import Loop
from mod_pywebsocket.stream import Stream, StreamOptions


class PythonConnection:
    """Reads what a test prepared, never more than asked, and keeps what is written."""

    remote_addr = ('test', 1)

    def __init__(self, data):
        self.data, self.sent = data, b''

    def read(self, length):
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def write(self, data):
        assert isinstance(data, bytes)
        self.sent += data


class Request:
    def __init__(self, connection, options=None):
        self.connection = connection
        self.ws_version = 13
        self.ws_close_code = self.ws_close_reason = None
        self.ws_stream = Stream(self, options or StreamOptions())


class Subclassed(Stream):
    pass


@pytest.fixture(scope='module')
def loop():
    loop = Loop()
    yield loop
    loop.retire()


@pytest.fixture(params=['python', 'native', 'async'])
def make(request, loop):
    """``make(bytes from the client)``: a request, and a function that gives what it has sent.

    An async stream lives on a loop; here it is used from another thread, where its methods wait.
    """
    sockets, senders, streams = [], [], []

    def make_request(data=b'', options=None):
        if request.param == 'python':
            made = Request(PythonConnection(data), options)
            return made, lambda: made.connection.sent
        ours, theirs = socket.socketpair()
        sockets.extend((ours, theirs))

        class Handler:
            request = Channel(ours.fileno())
            client_address = ('test', 1)

        made = Request(_StandaloneConnection(Handler), options)
        assert made.connection._channel is Handler.request

        def send():
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)

        senders.append(threading.Thread(target=send))
        senders[-1].start()

        if request.param == 'async':
            made.is_https = lambda: False
            made.ws_stream = AsyncStream(made.ws_stream, loop)
            streams.append(made.ws_stream)

        def sent():
            Handler.request.shutdown(socket.SHUT_WR)
            return theirs.makefile('rb').read()

        return made, sent

    yield make_request
    for made in streams:
        loop.run(made.end(), 'the end')
    for sender in senders:
        sender.join()
    for sock in sockets:
        sock.close()


def with_deflate(**parameters):
    offer = common.ExtensionParameter('permessage-deflate')
    for name, value in parameters.items():
        offer.add_parameter(name, value)
    processor = extensions.get_extension_processor(offer)
    options = StreamOptions()
    assert processor.get_extension_response() is not None
    processor.setup_stream_options(options)
    return processor, options


def deflated(data):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


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


def test_compressed_messages(make):
    _, options = with_deflate()
    plain = 'compress me ' * 100
    packed = deflated(plain.encode())
    request, sent = make(
        masked(0xc1, packed) + masked(0x81, b'plain') + masked(0x41, packed[:7]) + masked(0x89, b'ping')
        + masked(0x00, packed[7:9]) + masked(0x80, packed[9:]) + masked(0xc2) + close(), options)
    received = [request.ws_stream.receive_message() for _ in range(4)]
    assert received[:3] == [plain, 'plain', plain]
    assert received[3] == b''
    assert request.ws_stream.receive_message() is None
    assert sent() == b'\x8a\x04ping\x88\x02\x03\xe8'


def test_compressed_bytes_are_zlibs(make):
    _, options = with_deflate(server_max_window_bits='10')
    request, sent = make(b'', options)
    request.ws_stream.send_message('Hello')
    request.ws_stream.send_message('')
    request.ws_stream.send_message('Hel', end=False)
    request.ws_stream.send_ping(b'no RSV1')
    request.ws_stream.send_message('lo')
    compressor = zlib.compressobj(wbits=-10)

    def piece(data):
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)

    expected = b''
    for first, data, is_end in ((0xc1, b'Hello', True), (0xc1, b'', True), (0x41, b'Hel', False), (0x80, b'lo', True)):
        packed = piece(data)
        if is_end:
            packed = packed[:-4]
        expected += bytes((first, len(packed))) + packed
        if not is_end:
            expected += b'\x89\x07no RSV1'
    assert sent() == expected


@pytest.mark.parametrize('data', [
    text('x' * 1001), masked(0x82, b'', length=1 << 40), text('x' * 600, False) + masked(0x80, b'x' * 401),
    text('x' * 600, False) + masked(0x00, b'x' * 400) + masked(0x80, b'y'),
], ids=['frame', 'announced', 'fragments', 'one more'])
def test_a_message_above_the_limit_is_too_big(make, data):
    options = StreamOptions()
    options.max_message_bytes = 1000
    request, _ = make(text('x' * 1000) + text('x' * 600, False) + masked(0x89, b'p' * 125) + masked(
        0x00, b'x' * 400) + masked(0x89, b'p' * 125) + masked(0x80) + data, options)
    assert request.ws_stream.receive_message() == 'x' * 1000
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


def test_a_bomb_is_not_inflated(make):
    _, options = with_deflate()
    options.max_message_bytes = 1 << 20
    request, _ = make(masked(0xc2, deflated(bytes(1 << 20))) + masked(0xc2, zlib.compress(bytes(1 << 26))[2:-4]), options)
    assert request.ws_stream.receive_message() == bytes(1 << 20)
    with pytest.raises(stream.MessageTooBigException):
        request.ws_stream.receive_message()


def test_compression_can_be_switched(make):
    processor, options = with_deflate()
    request, sent = make(b'', options)
    processor.disable_outgoing_compression()
    request.ws_stream.send_message('plain')
    processor.enable_outgoing_compression()
    processor.set_bfinal(True)
    request.ws_stream.send_message('Hello')
    assert sent() == b'\x81\x05plain\xc1\x08' + b'\xf3\x48\xcd\xc9\xc9\x07\x00' + b'\x00'


def test_a_processor_without_an_answer_has_no_framer():
    processor = extensions.get_extension_processor(common.ExtensionParameter('permessage-deflate'))
    assert processor.name() == 'deflate'
    for verb in (processor.enable_outgoing_compression, processor.disable_outgoing_compression,
                 lambda: processor.set_bfinal(True)):
        with pytest.raises(AttributeError):
            verb()


@pytest.mark.parametrize('data', [
    masked(0xc1, b'\xff\xff\xff'),
    masked(0x41, b'\xf2\x48') + masked(0xc0, b'\xcd'),
], ids=['garbage', 'RSV1 on a continuation'])
def test_bad_compression_is_an_invalid_frame(make, data):
    _, options = with_deflate()
    request, _ = make(data, options)
    with pytest.raises(msgutil.InvalidFrameException):
        request.ws_stream.receive_message()


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


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_replaced_connection_is_used(make):
    request, sent = make(text('native'))
    own = request.connection
    request.connection = PythonConnection(text('mine'))
    assert request.ws_stream.receive_message() == 'mine'
    request.ws_stream.send_message('to mine')
    assert request.connection.sent == b'\x81\x07to mine'
    request.connection = own
    assert request.ws_stream.receive_message() == 'native'
    assert sent() == b''


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_replaced_method_is_used(make):
    request, sent = make(text('a') + text('b'))
    written, read = [], request.connection.read

    def slowly(length):
        return read(1)

    request.connection.write = written.append
    request.connection.read = slowly
    assert request.ws_stream.receive_message() == 'a'
    request.ws_stream.send_message('c')
    assert written == [b'\x81\x01c'] and sent() == b''


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_wrapper_of_the_connection_is_used(make):
    request, sent = make(text('a'))

    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def write(self, data):
            self.inner.write(b'<' + data + b'>')

    request.connection = Wrapper(request.connection)
    assert request.ws_stream.receive_message() == 'a'
    request.ws_stream.send_message('b')
    assert sent() == b'<\x81\x01b>'


@pytest.mark.parametrize('make', ['python', 'native'], indirect=True)
def test_a_subclass_has_its_say(make):
    request, _ = make(text('a'))

    class Loud(Stream):
        def _receive_frame(self):
            opcode, payload, *rest = super()._receive_frame()
            return (opcode, payload.upper(), *rest)

    request.ws_stream = Loud(request, StreamOptions())
    assert request.ws_stream.receive_message() == 'A'


@pytest.mark.parametrize('make', ['async'], indirect=True)
def test_an_async_stream_wants_the_servers_own_connection(make, loop):
    request = Request(PythonConnection(text('mine')))
    with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
        AsyncStream(request.ws_stream, loop)

    request, sent = make(text('native'))
    own, request.connection = request.connection, request.connection.__class__
    for verb in (request.ws_stream.receive_message, lambda: request.ws_stream.send_message('lost')):
        with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
            verb()
    request.connection = own
    request.connection.write = print
    with pytest.raises(TypeError, match='an async handler needs the connection of our own server'):
        request.ws_stream.receive_message()
    assert sent() == b''


def test_an_error_of_sending_names_the_peer_and_stays_what_it_is():
    class Broken(PythonConnection):
        def write(self, data):
            raise BrokenPipeError('gone')

    request = Request(Broken(b''))
    with pytest.raises(BrokenPipeError, match='sending to .*gone'):
        request.ws_stream.send_message('x')


def test_threads_share_a_stream():
    ours, theirs = socket.socketpair()

    class Handler:
        request = Channel(ours.fileno())
        client_address = ''

    request = Request(_StandaloneConnection(Handler))
    per_thread, threads, size = 200, 4, 5000
    received = []

    def send(number):
        for _ in range(per_thread):
            request.ws_stream.send_message(bytes([number]) * size, binary=True)

    def receive():
        while (message := request.ws_stream.receive_message()) is not None:
            received.append(message)

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    workers.append(threading.Thread(target=receive))
    for worker in workers:
        worker.start()
    theirs.sendall(text('x') * 500)
    with theirs.makefile('rb') as incoming:
        counts = dict.fromkeys(range(threads), 0)
        for _ in range(per_thread * threads):
            assert incoming.read(4) == struct.pack('!BBH', 0x82, 126, size)
            payload = incoming.read(size)
            assert payload == payload[:1] * size
            counts[payload[0]] += 1
        theirs.sendall(close(1000))
        assert incoming.read(4) == b'\x88\x02\x03\xe8'
    for worker in workers:
        worker.join()
    assert set(counts.values()) == {per_thread}
    assert received == ['x'] * 500
    ours.close()
    theirs.close()


# Frames by hand.


def test_a_masked_frame_can_be_made_and_parsed():
    frame = stream.create_text_frame('hello', mask=True)
    data = PythonConnection(frame)
    assert stream.parse_frame(data.read) == (1, b'hello', 1, 0, 0, 0)
    data = PythonConnection(stream.create_binary_frame(b'', opcode=0xf, fin=0))
    assert stream.parse_frame(data.read, unmask_receive=False) == (15, b'', 0, 0, 0, 0)


def test_frames_that_break_the_protocol_can_be_made():
    assert stream.create_text_frame('x' * 126, opcode=common.OPCODE_PING)[:4] == b'\x89\x7e\x00\x7e'
    assert stream.create_header(common.OPCODE_PING, 0, 0, 1, 1, 1, 0) == b'\x79\x00'
    for make_frame in (stream.create_ping_frame, stream.create_pong_frame, stream.create_close_frame):
        with pytest.raises(msgutil.BadOperationException):
            make_frame(b'x' * 126)
        with pytest.raises(TypeError):
            make_frame('text')
    with pytest.raises(AttributeError):
        stream.create_text_frame(b'bytes')


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
