"""An async handler in which every type is written out."""

import asyncio
from typing import Optional, Tuple, Union

from mod_pywebsocket import AsyncRequest, common, msgutil
from mod_pywebsocket.handshake import AbortedByUserException


class RoomRequest(AsyncRequest):
    room: str


async def web_socket_do_extra_handshake(request: RoomRequest) -> None:
    await asyncio.sleep(0)
    request.room = request.ws_resource.rpartition('?')[2]
    request.extra_headers.append(('X-Room', request.room))


async def web_socket_transfer_data(request: RoomRequest) -> None:
    receiving = asyncio.create_task(request.ws_stream.receive_message())
    await asyncio.wait([receiving], timeout=1)
    message: Union[str, bytes, None] = await receiving
    while message is not None:
        await request.ws_stream.send_message(message, binary=isinstance(message, bytes))
        await request.ws_stream.send_message('text')
        await request.ws_stream.send_message(b'bytes', binary=True)
        await request.ws_stream.send_ping('still there?')
        await msgutil.send_message(request, request.room)
        if request.ws_stream.get_last_received_opcode() == common.OPCODE_BINARY:
            await request.ws_stream.close_connection(common.STATUS_UNSUPPORTED_DATA, 'texts only')
        message = await msgutil.receive_message(request)
    if request.ws_close_reason == 'abort':
        raise AbortedByUserException('as asked')


async def web_socket_passive_closing_handshake(request: RoomRequest) -> Tuple[Optional[int], Optional[str]]:
    return None, None
