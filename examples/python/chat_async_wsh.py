"""A chat: what one member writes, all get, and thousands of members need no thread.

Each has a queue of its own, so that a member who reads slowly delays nobody else. Who is a hundred messages
behind loses the oldest.
"""

import asyncio

_MOST_WAITING = 100

# The queue of each member. All handlers run on one loop, so no lock is needed.
_members = {}


async def web_socket_do_extra_handshake(request):
    request.name = request.ws_resource.partition('?')[2] or 'somebody'


async def web_socket_transfer_data(request):
    queue = _members[request] = asyncio.Queue(_MOST_WAITING)
    delivering = asyncio.create_task(_deliver(request, queue))
    try:
        _tell_all('%s has come' % request.name)
        while True:
            message = await request.ws_stream.receive_message()
            if message is None:
                return
            if isinstance(message, str):
                _tell_all('%s: %s' % (request.name, message))
    finally:
        del _members[request]
        delivering.cancel()
        _tell_all('%s has left' % request.name)


async def _deliver(request, queue):
    while True:
        await request.ws_stream.send_message(await queue.get())


def _tell_all(message):
    for queue in _members.values():
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(message)
