"""A handler file in which every type is written out."""

import threading
from typing import List, Optional, Set, Tuple, Union

from mod_pywebsocket import Request, common, extensions, handshake, msgutil, stream, util
from mod_pywebsocket.handshake import AbortedByUserException, hybi
from mod_pywebsocket.stream import ConnectionTerminatedException, Frame


class ChatRequest(Request):
    nickname: str


_open: Set[ChatRequest] = set()
_lock = threading.Lock()


def web_socket_do_extra_handshake(request: ChatRequest) -> None:
    origin: Optional[str] = request.ws_origin
    if origin is not None and not origin.startswith('http://localhost'):
        raise handshake.HandshakeException('another origin: ' + origin, status=common.HTTP_STATUS_FORBIDDEN)
    if 'chat' in (request.ws_requested_protocols or []):
        request.ws_protocol = 'chat'
    cookie = request.headers_in.get('Cookie')
    if cookie is None:
        request.extra_headers.append(('Set-Cookie', 'id=1; HttpOnly'))
    request.nickname = request.headers_in.get('X-Nickname', 'anonymous')
    for processor in request.ws_extension_processors:
        if isinstance(processor, extensions.PerMessageDeflateExtensionProcessor):
            processor.set_client_max_window_bits(10)
            processor.set_client_no_context_takeover(True)
    if request.uri.endswith('?plain'):
        request.ws_extension_processors = []
    if not request.is_https() and request.method == 'GET' and request.protocol == 'HTTP/1.1':
        host, port = request.connection.remote_addr[:2]
        print(host.upper(), port + 1, request.connection.local_addr[1] + 1)
    request.on_ping_handler = pinged


def pinged(request: ChatRequest, payload: bytes) -> None:
    request.ws_stream.send_message(request.nickname + ' has sent ' + util.hexify(payload))


def web_socket_transfer_data(request: ChatRequest) -> None:
    with _lock:
        _open.add(request)
    try:
        while True:
            message: Union[str, bytes, None] = request.ws_stream.receive_message()
            if message is None:
                return
            if request.ws_stream.get_last_received_opcode() == common.OPCODE_BINARY:
                request.ws_stream.send_message(message, binary=True)
            for other in list(_open):
                other.ws_stream.send_message(message, binary=isinstance(message, bytes))
            request.ws_stream.send_message('a', end=False)
            request.ws_stream.send_message('b')
            request.ws_stream.send_message(b'b', True, True)
            request.ws_stream.send_ping(b'', binary=True)
            msgutil.send_message(request, 'text')
            msgutil.send_message(request, bytearray(b'bytes'), binary=True)
            msgutil.send_ping(request, 'text')
            if msgutil.receive_message(request) == 'bye':
                request.ws_stream.close_connection(common.STATUS_GOING_AWAY, 'bye', wait_response=False)
    except ConnectionTerminatedException as e:
        raise AbortedByUserException(str(e))
    finally:
        with _lock:
            _open.discard(request)


def web_socket_passive_closing_handshake(request: Request) -> Tuple[Optional[int], Optional[str]]:
    if request.ws_close_code == common.STATUS_NO_STATUS_RECEIVED:
        return None, None
    return request.ws_close_code, request.ws_close_reason


def misbehave(request: Request) -> None:
    """Frames and an answer by hand."""
    key = request.headers_in[common.SEC_WEBSOCKET_KEY_HEADER]
    accept: bytes = hybi.compute_accept(key.encode()) + hybi.compute_accept_from_unicode(key)
    answer: str = hybi.format_header('Sec-WebSocket-Accept', accept.decode())
    request.connection.write(answer.encode())
    header = stream.create_header(common.OPCODE_TEXT, 5, fin=1, rsv1=0, rsv2=0, rsv3=True, mask=False)
    request.connection.write(header + b'Hello' + util.pack_byte(0x81))
    body = stream.create_closing_handshake_body(common.STATUS_NORMAL_CLOSURE, 'bye')
    request.connection.write(stream.create_close_frame(body))
    request.connection.write(stream.create_text_frame('x' * 126, opcode=common.OPCODE_PING, fin=0, mask=True))
    request.connection.write(stream.create_binary_frame(memoryview(b'x'), frame_filters=[Marked()]))
    request.server_terminated = True
    data: bytes = request.connection.read(8)
    opcode, payload, fin, rsv1, rsv2, rsv3 = request.ws_stream._receive_frame()
    frame: Frame = request.ws_stream._receive_frame_as_frame_object()
    complete: Optional[bytes] = request.ws_stream._get_message_from_frame(frame)
    print(data + payload, opcode + fin + rsv1 + rsv2 + rsv3, complete)
    raise AbortedByUserException('by hand')


class Marked:
    """A filter that sets a reserved bit."""

    def filter(self, frame: Frame) -> None:
        frame.rsv2 = 1


class Shout(extensions.ExtensionProcessorInterface):
    """An extension of one's own."""

    def name(self) -> str:
        return 'shout'

    def _get_extension_response_internal(self) -> Optional[common.ExtensionParameter]:
        response = common.ExtensionParameter(self.request().name())
        response.add_parameter('loud', None)
        return response

    def _setup_stream_options_internal(self, stream_options: stream.StreamOptions) -> None:
        stream_options.outgoing_frame_filters.append(Marked())


extensions._available_processors['shout'] = Shout


def receive_on_a_thread(request: Request) -> List[Union[str, bytes, None]]:
    receiver = msgutil.MessageReceiver(request)
    sender = msgutil.MessageSender(request)
    sender.send('a')
    sender.send_nowait('b')
    received = [receiver.receive(), receiver.receive_nowait()]
    receiver.stop()
    return received
