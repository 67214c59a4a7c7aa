"""What may happen in web_socket_transfer_data. The query says which of it."""

import array
import threading

from pywebsocket3 import common, handshake, msgutil, stream, util

import throwing


class Filter:
    """A frame filter of the handler's own."""

    def filter(self, frame):
        frame.payload = frame.payload[::-1]


def closed_first(error):
    """The client closes, then the handler fails."""
    def action(request):
        while request.ws_stream.receive_message() is not None:
            pass
        raise error
    return action


def receive_twice(request):
    request.ws_stream.receive_message()
    request.ws_stream.receive_message()


def set_server_terminated(request):
    request.connection.write(b'\x88\x02\x03\xe8')
    request.server_terminated = True


def set_client_terminated(request):
    request.client_terminated = True
    request.ws_stream.receive_message()


def close(*arguments):
    return lambda request: request.ws_stream.close_connection(*arguments)


def close_twice(request):
    request.ws_stream.close_connection(3333, 'r')
    request.ws_stream.close_connection(3334, 'ignored')


def send_after_close(request):
    request.ws_stream.close_connection(1000, '', False)
    request.ws_stream.send_message('late')


def send_after_client(request):
    request.ws_stream.receive_message()
    request.server_terminated = False
    request.ws_stream.send_message('late')


def send(*arguments, **named):
    return lambda request: request.ws_stream.send_message(*arguments, **named)


def send_fragments(request):
    send = request.ws_stream.send_message
    send('a', end=False)
    send('', end=False)
    send('b')
    send(b'c', end=False, binary=True)
    send(b'd', end=True, binary=True)


def send_mixed(request):
    request.ws_stream.send_message('a', end=False)
    request.ws_stream.send_message(b'b', binary=True)


def send_kinds(request):
    for message in (b'bytes', bytearray(b'array'), memoryview(b'view'), b'', memoryview(b'every other')[::2],
                    array.array('H', [1, 2]), type('Bytes', (bytes,), {})(b'own')):
        request.ws_stream.send_message(message, binary=True)
    msgutil.send_message(request, '')
    msgutil.send_message(request, type('Text', (str,), {})('own'))


def lengths(request):
    for length in (125, 126, 65535, 65536):
        request.ws_stream.send_message('x' * length)


def ping(request):
    said = []
    request.on_pong_handler = lambda request, body: said.append(body)
    for body in ('a', b'b', '\u00e9'):
        request.ws_stream.send_ping(body)
    request.ws_stream.send_ping(b'\xff', binary=True)
    request.ws_stream.receive_message()
    request.ws_stream.send_message(repr((said, list(request.ws_stream._ping_queue))))


def on_ping(request):
    request.on_ping_handler = lambda request, body: request.ws_stream.send_message('ping ' + repr(body))
    request.ws_stream.receive_message()


def on_ping_broken(request):
    request.on_ping_handler = lambda request, body: request.nothing
    request.ws_stream.receive_message()


def on_ping_raises(request):
    request.on_ping_handler = lambda request, body: throwing.throw(ValueError('mine'))
    request.ws_stream.receive_message()


def on_pong_raises(request):
    request.on_pong_handler = lambda request, body: throwing.throw(ValueError('mine'))
    request.ws_stream.receive_message()


def on_ping_off(request):
    request.on_ping_handler = None
    request.ws_stream.receive_message()


def frames(request):
    write = request.connection.write
    write(stream.create_header(common.OPCODE_TEXT, 2, 1, 0, 0, 0, 0) + b'hi')
    write(stream.create_text_frame('part', fin=0))
    write(stream.create_text_frame('end', opcode=common.OPCODE_CONTINUATION))
    write(stream.create_text_frame('x' * 126, opcode=common.OPCODE_PING))
    write(stream.create_header(0xb, 0, 0, 1, 1, 1, True))
    request.ws_stream._send_pong(b'pong')
    request.ws_stream._write(util.pack_byte(0x82) + util.pack_byte(1) + b'x')


def privates(request):
    """Frames, messages and raw bytes in turn."""
    ws = request.ws_stream
    said = [ws._receive_frame(), ws.receive_message()]
    frame = ws._receive_frame_as_frame_object()
    said += [(frame.opcode, frame.payload, frame.fin), ws.receive_bytes(3), ws.receive_message(), ws._read_until(b';')]
    frame = ws._receive_frame_as_frame_object()
    said += [ws._get_message_from_frame(frame), ws.get_last_received_opcode(), ws._received_fragments]
    frame = ws.receive_filtered_frame()
    said += [frame.opcode, frame.payload, request.connection.read(2)]
    ws.send_message(repr(said))


def process_close(request):
    frame = request.ws_stream._receive_frame_as_frame_object()
    request.ws_stream._process_close_message(request.ws_stream._get_message_from_frame(frame))
    request.ws_stream._write(b'after')


def filters(request):
    options = request.ws_stream._options
    options.incoming_frame_filters.append(Filter())
    options.outgoing_frame_filters.append(Filter())
    request.ws_stream.send_message(request.ws_stream.receive_message() + '!')


def attributes(request):
    names = ('uri', 'unparsed_uri', 'method', 'protocol', 'ws_close_code', 'ws_close_reason', 'ws_resource', 'ws_version',
             'ws_origin', 'ws_protocol', 'ws_requested_protocols', 'ws_requested_extensions', '_accept', 'extra_headers',
             'ws_extensions', 'client_terminated', 'server_terminated', 'ws_deflate', 'ws_location', 'args',
             'on_ping_handler')
    said = [(name, repr(getattr(request, name, 'missing'))) for name in names]
    said += [request.is_https(), request.connection.get_local_addr()[0], request.connection.remote_addr[0],
             request.connection.local_addr[0], type(request.headers_in).__name__, request.headers_in['x-none'],
             request.headers_in.get('HOST'), request.headers_in['x-twice'], request.headers_in.get_all('x-twice'),
             request.headers_in.get('X-Folded'), request.headers_in.get('X-Latin'), sorted(request.headers_in.keys()),
             request.connection.get_memorized_lines(), 'x-twice' in request.headers_in, len(request.headers_in),
             request.headers_in.getheader('host') if hasattr(request.headers_in, 'getheader') else 'no getheader',
             hash(request) == id(request) >> 4, {request: 1}[request], __name__, '__file__' in globals(),
             type(request).__name__, type(request.connection).__name__, hasattr(request, '_dispatcher'),
             str(request.headers_in)]
    request.mine = 1
    request.ws_stream.send_message(repr(said))


def receive_kinds(request):
    while True:
        message = request.ws_stream.receive_message()
        request.ws_stream.send_message(repr(message) + ' %d' % request.ws_stream.get_last_received_opcode())
        if message is None:
            return


def keep_on(request):
    """A handler that goes on after each failure to receive."""
    for _ in range(8):
        try:
            message = request.ws_stream.receive_message()
        except Exception as e:
            message = type(e).__name__
        request.ws_stream.send_message(repr(message))


def two_threads(request):
    sender = msgutil.MessageSender(request)
    receiver = msgutil.MessageReceiver(request)
    sender.send('first')
    sender.send('second')
    while True:
        message = receiver.receive()
        if message is None:
            break
        sender.send(message)
    receiver.join()


def callback_receiver(request):
    got = []
    receiver = msgutil.MessageReceiver(request, got.append)
    receiver.join()
    request.ws_stream._write(repr(got).encode())


def local(request):
    thread = threading.current_thread()
    request.ws_stream.send_message('%s %s' % (thread.daemon, thread is threading.main_thread()))


def raw_read(request):
    data = b''
    while len(data) < 6:
        data += request.connection.read(6 - len(data))
    request.connection.write(data)
    try:
        request.connection.write('text')
    except Exception as e:
        request.connection.write(type(e).__name__.encode())
    raise handshake.AbortedByUserException('enough')


ACTIONS = {
    **throwing.ACTIONS,
    'return': lambda request: None,
    'unicode': lambda request: throwing.throw(UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'mine')),
    'closed-value': closed_first(ValueError('mine')),
    'closed-bad-operation': closed_first(msgutil.BadOperationException('mine')),
    'closed-unsupported': closed_first(msgutil.UnsupportedFrameException('mine')),
    'closed-invalid-frame': closed_first(msgutil.InvalidFrameException('mine')),
    'receive': lambda request: request.ws_stream.receive_message(),
    'receive-twice': receive_twice,
    'receive-kinds': receive_kinds,
    'keep-on': keep_on,
    'set-server-terminated': set_server_terminated,
    'set-client-terminated': set_client_terminated,
    'close': close(),
    'close-none': close(None, None),
    'close-none-reason': close(None, 'reason'),
    'close-none-empty': close(None, ''),
    'close-3000': close(3000, 'reason'),
    'close-no-wait': close(3000, 'reason', False),
    'close-going-away': close(1001, ''),
    'close-protocol-error': close(1002, ''),
    'close-999': close(999, ''),
    'close-1005': close(1005, ''),
    'close-1015': close(1015, ''),
    'close-5000': close(5000, ''),
    'close-bytes': close(1000, b'bytes'),
    'close-int-reason': close(1000, 5),
    'close-long': close(1000, 'x' * 124),
    'close-longest': close(1000, 'x' * 123),
    'close-str-code': close('1000', ''),
    'close-twice': close_twice,
    'send-after-close': send_after_close,
    'send-after-client': send_after_client,
    'send-bytes-as-text': send(b'bytes'),
    'send-none': send(None),
    'send-int': send(5),
    'send-str-as-binary': send('text', binary=True),
    'send-surrogate': send('\ud800'),
    'send-long-surrogate': send('x' * 100000 + '\ud800'),
    'send-list-as-binary': send([1, 2], binary=True),
    'send-fragments': send_fragments,
    'send-mixed': send_mixed,
    'send-kinds': send_kinds,
    'send-lengths': lengths,
    'ping': ping,
    'ping-too-long': lambda request: request.ws_stream.send_ping('x' * 126),
    'ping-no-body': lambda request: request.ws_stream.send_ping(),
    'on-ping': on_ping,
    'on-ping-broken': on_ping_broken,
    'on-ping-raises': on_ping_raises,
    'on-pong-raises': on_pong_raises,
    'on-ping-off': on_ping_off,
    'frames': frames,
    'privates': privates,
    'process-close': process_close,
    'filters': filters,
    'attributes': attributes,
    'two-threads': two_threads,
    'callback-receiver': callback_receiver,
    'local': local,
    'raw-read': raw_read,
}


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    ACTIONS[request.uri.partition('?')[2]](request)
