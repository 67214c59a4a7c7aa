"""A client of linkspan.connect, waiting and awaited: one name, two types."""

from typing import List, Optional, Union

import linkspan


def waiting(url: str) -> None:
    ws = linkspan.connect(url, headers={'Cookie': 'a=b'}, subprotocols=['chat'], ca=b'pem')
    ws.send('x')
    message: Union[str, bytes] = ws.receive(timeout=1)
    name: Optional[str] = ws.subprotocol
    with linkspan.connect(url, headers=[('A', 'b')]) as other:
        for message in other:
            other.send(message)
        other.send_frame(1, b'x', fin=False, rsv=4, mask=b'1234', length=7)
    with ws.detach() as raw:
        frame = raw.receive_frame(1)
        if frame is not None:
            code: int = frame.opcode
            payload: bytes = frame.payload
            print(code, payload, frame.mask)
    print(name, ws.response.headers[0][0], message)


async def awaited(url: str) -> None:
    ws = await linkspan.connect(url)
    await ws.send('x')
    message: Union[str, bytes] = await ws.receive()
    async with linkspan.connect(url) as other:
        async for message in other:
            await other.send(message)
    async with linkspan.connect_raw(url) as raw:
        await raw.send(linkspan.opening_request(url))
        head: bytes = await raw.receive_head()
    gathered: List[linkspan.AsyncWebSocket] = [await linkspan.connect(url) for _ in range(3)]
    try:
        await ws.close(1000, 'done')
    except linkspan.ConnectionClosed as closed:
        print(closed.code, closed.reason, closed.clean)
    except linkspan.HandshakeError as refused:
        print(refused.status, refused.body)
    print(head, message, gathered)
