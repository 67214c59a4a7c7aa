"""What must be reported: every line that says so in a comment, and no other."""

from typing import Tuple

import linkspan
from mod_pywebsocket import AsyncRequest, Request, common, extensions, handshake, msgutil, stream, util
from mod_pywebsocket.handshake import hybi


def web_socket_do_extra_handshake(request: Request) -> None:
    request.ws_protocols = 'chat'  # error: no such attribute
    request.ws_protocol = ['chat']  # error: one subprotocol
    request.extra_headers.append('Set-Cookie: a=b')  # error: a pair
    request.extra_headers['Set-Cookie'] = 'a=b'  # error: a list, not a mapping
    request.ws_origin.startswith('http:')  # error: there may be none
    request.headers_in.get('Cookie').split(';')  # error: there may be none
    request.uri = '/other'  # error: cannot be set
    request.connection.write('HTTP/1.1 403 Forbidden\r\n')  # error: bytes
    request.connection.remote_addr + 1  # error: a tuple
    hybi.compute_accept('key')  # error: bytes
    for processor in request.ws_extension_processors:
        processor.set_bfinal(True)  # error: not of every extension, and there may be None
    raise handshake.HandshakeException('no', status='403')  # error: a number


def web_socket_transfer_data(request: Request) -> None:
    message = request.ws_stream.receive_message()
    request.ws_stream.send_message(message)  # error: may be None or bytes
    request.ws_stream.send_message(b'bytes')  # error: bytes need binary=True
    request.ws_stream.send_message(1, binary=True)  # error: neither text nor bytes
    request.ws_stream.send_mesage('text')  # error: misspelt
    request.ws_stream.close_connection('bye')  # error: the code comes first
    request.ws_stream.close_connection(1000, b'bye')  # error: a reason is text
    request.ws_stream.send_ping()  # error: needs a body
    msgutil.send_message(request.ws_stream, 'text')  # error: needs the request
    msgutil.send_ping(request)  # error: needs a body
    stream.create_text_frame(b'text')  # error: text
    stream.create_ping_frame('text')  # error: bytes
    stream.create_closing_handshake_body(1000, None)  # error: a code comes with a reason
    stream.create_header(common.OPCODE_TEXT, 5, 1)  # error: more arguments
    util.hexify('text')  # error: bytes
    extensions.get_extension_processor('deflate')  # error: an ExtensionParameter


def web_socket_passive_closing_handshake(request: Request) -> Tuple[int, str]:
    return request.ws_close_code, request.ws_close_reason  # error: either may be None


async def in_an_async_handler(request: AsyncRequest) -> None:
    request.ws_stream.send_message('text')  # error: not awaited
    await request.ws_stream.send_message(b'bytes')  # error: bytes need binary=True
    message = request.ws_stream.receive_message()
    message.upper()  # error: not awaited
    msgutil.MessageSender(request)  # error: a thread is for handlers without async


def in_a_handler(request: Request) -> None:
    in_an_async_handler(request)  # error: neither awaited nor async


def in_a_client(url: str) -> None:
    ws = linkspan.connect(url, subprotocol='chat')  # error: subprotocols, a list
    ws.send(1)  # error: neither text nor bytes
    ws.receive().encode()  # error: bytes have no such method
    ws.recv()  # error: misspelt
    ws.close('bye')  # error: the code comes first


async def in_an_async_client(url: str) -> None:
    ws = await linkspan.connect(url)
    ws.send('text')  # error: not awaited
    for _ in ws:  # error: async for
        pass
