"""``linkspan.connect`` in asyncio: the same on the running loop, cancelled, in many tasks, without threads."""

import asyncio
import gc
import socket
import sys
import threading
import warnings

import linkspan
import pytest
import trustme
from by_hand import hanging, peer
from conftest import ECHO, PATIENCE, Server, serve_module

CLOSES = '''
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.ws_stream.send_message('one')
    request.ws_stream.close_connection(4001, 'enough')
'''

server = serve_module({'echo': ECHO, 'closes': CLOSES})


@pytest.fixture
def url(server):
    return 'ws://localhost:%d/echo' % server.port


def run(main):
    """Runs it, and fails where it takes too long."""
    async def in_time():
        return await asyncio.wait_for(main, PATIENCE * 2)

    return asyncio.run(in_time())


async def nothing_is_left():
    """Whether the loop watches anything but itself."""
    loop = asyncio.get_running_loop()
    selector = loop._selector
    return len(selector.get_map()) == 1


async def ends(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_messages_of_every_kind_and_size_come_back(url):
    async def main():
        async with linkspan.connect(url, deflate=True) as ws:
            assert isinstance(ws, linkspan.AsyncWebSocket) and ws.extensions == 'permessage-deflate'
            for message in ['', 'hello', b'', b'\x00\xff', b'x' * 70000, 'y' * 3_000_000]:
                await ws.send(message)
                assert await ws.receive(PATIENCE) == message
        assert (ws.ready_state, ws.close_code) == (ws.CLOSED, 1000)
        assert await nothing_is_left()

        ws = await linkspan.connect(url)
        await ws.send('again')
        assert await ws.receive() == 'again'
        await ws.close()

    threads = threading.active_count()
    run(main())
    assert threading.active_count() == threads


def test_iteration_ends_with_a_clean_close(server):
    async def main():
        async with linkspan.connect('ws://localhost:%d/closes' % server.port) as ws:
            assert [message async for message in ws] == ['one']
            for call in [ws.receive, lambda: ws.send('late')]:
                with pytest.raises(linkspan.ConnectionClosed) as told:
                    await call()
                assert (told.value.code, told.value.reason) == (4001, 'enough')

    run(main())


def test_pieces_pings_and_raw_frames():
    def handler(client):
        client.upgrade()
        assert [client.read_frame() for _ in range(6)] == [
            (0x01, b'hel'), (0x89, b'?'), (0x80, b'lo'), (0x8a, b'!'), (0xc3, b'x'), (0x81, b'')]
        client.close()

    async def main(port):
        ws = await linkspan.connect('ws://localhost:%d/' % port)
        await ws.send_fragment('hel')
        await ws.ping('?')
        await ws.send_fragment('lo', end=True)
        await ws.pong('!')
        await ws.send_frame(3, 'x', rsv=4)
        await ws.send_raw(linkspan.frame(1))
        with pytest.raises(linkspan.ConnectionClosed) as told:
            await ws.receive()
        assert (told.value.code, told.value.clean) == (1000, False)

    with peer(handler) as port:
        run(main(port))


def test_a_forgotten_await_is_one_clear_error(url):
    async def main():
        forgotten = linkspan.connect(url)
        assert isinstance(forgotten, linkspan.WebSocket)
        for misuse in ['ws.send("x")', 'ws.receive()', 'ws.close()', 'ws.subprotocol', 'ws.__enter__()', 'list(ws)']:
            with pytest.raises(RuntimeError, match='in a coroutine a connection is awaited: ws = await linkspan.connect'):
                eval(misuse, {'ws': forgotten})
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter('always')
            del forgotten
            gc.collect()
        assert [str(w.message)[:20] for w in warned] == ['in a coroutine a con']

        once = linkspan.connect(url)
        await (await once).close()
        with pytest.raises(RuntimeError, match='awaited already'):
            await once
        raw = linkspan.connect_raw(url)
        with pytest.raises(RuntimeError, match='is awaited'):
            raw.send(b'x')
        (await raw).close()

    run(main())


def test_one_that_waits_cannot_be_awaited(url):
    ws = linkspan.connect(url)

    async def main():
        with pytest.raises(TypeError, match='connected already'):
            await ws
        with pytest.raises(TypeError, match='connected already'):
            async with ws:
                pass

    run(main())
    ws.close()


def test_connect_waits_in_a_thread_beside_a_loop(url):
    def wait():
        with linkspan.connect(url) as ws:
            ws.send('from a thread')
            return ws.receive(PATIENCE)

    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, wait)

    assert run(main()) == 'from a thread'


def test_a_cancelled_receive_loses_no_message(url):
    async def main():
        async with linkspan.connect(url) as ws:
            received = []
            for number in range(300):
                await ws.send(str(number))
                task = asyncio.ensure_future(ws.receive())
                # At each place on its way: before it starts, while it waits, when the message is there.
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                if number % 3 == 0:
                    await asyncio.sleep(0.001)
                task.cancel()
                try:
                    received.append(await task)
                except asyncio.CancelledError:
                    pass
            while len(received) < 300:
                received.append(await ws.receive(PATIENCE))
            assert received == [str(number) for number in range(300)]

    run(main())


def test_waiting_has_an_end_and_loses_nothing(url):
    async def main():
        async with linkspan.connect(url) as ws:
            for timeout in [0, 0.03]:
                with pytest.raises(linkspan.TimedOut):
                    await ws.receive(timeout)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.receive(), 0.03)
            await ws.send('after')
            assert await ws.receive(PATIENCE) == 'after'

    run(main())


def test_many_tasks_send_while_one_receives(url):
    async def main():
        async with linkspan.connect(url) as ws:
            async def send(name):
                for number in range(50):
                    await ws.send('%s%d' % (name, number))
                    await ws.send(name.encode() * 40_000)

            async def receive():
                return [await ws.receive(PATIENCE) for _ in range(400)]

            received, *_ = await asyncio.gather(receive(), *map(send, 'abcd'))
        for name in 'abcd':
            texts = [message for message in received if isinstance(message, str) and message[0] == name]
            assert texts == ['%s%d' % (name, number) for number in range(50)]
            assert received.count(name.encode() * 40_000) == 50

    run(main())


def test_many_connections_share_one_loop_and_no_thread(url):
    async def main():
        sockets = await asyncio.gather(*(linkspan.connect(url) for _ in range(50)))
        await asyncio.gather(*(ws.send(str(number)) for number, ws in enumerate(sockets)))
        assert await asyncio.gather(*(ws.receive() for ws in sockets)) == [str(number) for number in range(50)]
        assert threading.active_count() == threads
        await asyncio.gather(*(ws.close() for ws in sockets))
        assert await nothing_is_left()

    threads = threading.active_count()
    run(main())


def test_what_a_cancelled_sender_left_is_sent_by_the_receiver():
    size = 8_000_000
    go_on = threading.Event()

    def handler(client):
        client.upgrade()
        assert go_on.wait(PATIENCE)
        assert client.read_frame() == (0x82, b'x' * size)
        client.close()

    async def main(port):
        ws = await linkspan.connect('ws://localhost:%d/' % port)
        receiver = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        sender = asyncio.ensure_future(ws.send(b'x' * size))
        while not ws.buffered_amount:
            await asyncio.sleep(0)
        sender.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sender
        assert ws.buffered_amount
        go_on.set()
        with pytest.raises(linkspan.ConnectionClosed) as told:
            await receiver
        assert told.value.code == 1000

    with peer(handler) as port:
        run(main(port))


def test_others_have_a_turn_while_messages_are_there():
    def handler(client):
        client.upgrade()
        client.send(b'\x81\x01a' * 5000)
        sent.set()
        client.close()

    async def main(port):
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        ws = await linkspan.connect('ws://localhost:%d/' % port)
        # All of it is there before the first is taken.
        while not sent.is_set():
            await asyncio.sleep(0)
        before = turns
        assert len([message async for message in ws]) == 5000
        assert turns - before >= 5000 // 100
        counting.cancel()

    sent = threading.Event()
    with peer(handler) as port:
        run(main(port))


def test_a_receiver_ends_when_another_task_closes(url):
    async def main():
        ws = await linkspan.connect(url)
        receivers = [asyncio.ensure_future(ws.receive()) for _ in range(2)]
        await asyncio.sleep(0)
        await ws.close()
        assert [told.code for told in await ends(receivers)] == [1000, 1000]
        assert await nothing_is_left()

    run(main())


def test_an_abort_ends_everybody(url):
    async def main():
        ws = await linkspan.connect(url)
        receiver = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        ws.abort()
        told, = await ends([receiver])
        assert (type(told), told.code) == (linkspan.ConnectionClosed, 1006)
        assert await nothing_is_left()

        with pytest.raises(ZeroDivisionError):
            async with linkspan.connect(url) as ws:
                raise ZeroDivisionError
        assert ws.close_code == 1006

    run(main())


def test_a_dropped_connection_leaves_nothing_in_the_loop(url):
    async def main():
        ws = await linkspan.connect(url)
        with pytest.raises(linkspan.TimedOut):
            await ws.receive(0.001)
        assert not await nothing_is_left()
        del ws
        gc.collect()
        assert await nothing_is_left()

    run(main())


def test_deadlines_are_kept_while_a_task_receives():
    def handler(client):
        client.upgrade()
        assert client.read_frame() == (0x89, b'')
        client.read_all()

    async def main(port):
        ws = await linkspan.connect('ws://localhost:%d/' % port, ping_interval=0.05, pong_timeout=0.05)
        with pytest.raises(linkspan.ConnectionClosed, match='^no pong came in time'):
            await ws.receive()
        ws.abort()

    with peer(handler) as port:
        run(main(port))

    def silent(client):
        client.upgrade()
        client.read_all()

    async def closing(port):
        ws = await linkspan.connect('ws://localhost:%d/' % port, close_timeout=0.05)
        await ws.close()
        assert ws.close_code == 1006

    with peer(silent) as port:
        run(closing(port))


def test_a_connect_that_fails_or_is_cancelled_leaves_nothing():
    async def main(port):
        with pytest.raises(linkspan.TimedOut, match='opening handshake took too long'):
            await linkspan.connect('ws://localhost:%d/' % port, handshake_timeout=0.05)
        assert await nothing_is_left()

    with hanging() as port:
        run(main(port))

    async def cancelled(port):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(linkspan.connect('ws://localhost:%d/' % port), 0.05)
        assert await nothing_is_left()

    with hanging() as port:
        run(cancelled(port))

    async def refused(port):
        with pytest.raises(linkspan.ConnectError, match='Connection refused'):
            await linkspan.connect('ws://127.0.0.1:%d/' % port)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    run(refused(port))


def test_tls(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    authority = trustme.CA()
    certificate = authority.issue_cert('localhost')
    certificate.private_key_pem.write_to_path(tmp_path / 'key.pem')
    certificate.cert_chain_pems[0].write_to_path(tmp_path / 'cert.pem')
    server = Server(tmp_path, '-t', '-k', str(tmp_path / 'key.pem'), '-c', str(tmp_path / 'cert.pem'))

    async def main():
        url = 'wss://localhost:%d/echo' % server.port
        async with linkspan.connect(url, ca=authority.cert_pem.bytes()) as ws:
            async def send():
                for number in range(20):
                    await ws.send(b'%d' % number * 100_000)

            sending = asyncio.ensure_future(send())
            for number in range(20):
                assert await ws.receive(PATIENCE) == b'%d' % number * 100_000
            await sending
            assert ws.peer_certificate
        with pytest.raises(linkspan.TlsError, match='is not trusted'):
            await linkspan.connect(url, ca=trustme.CA().cert_pem.bytes())

    try:
        run(main())
    finally:
        server.stop()


def test_a_detached_connection_goes_on(url):
    async def main():
        async with linkspan.connect(url) as ws:
            async with await ws.detach() as raw:
                await raw.send_frame(1, 'hi')
                assert await raw.receive_frame(PATIENCE) == (1, b'hi', True, 0, None)
                await raw.send_frame(8, b'\x03\xe8')
                assert (await raw.receive_frame(PATIENCE)).opcode == 8
                assert await raw.receive_frame(PATIENCE) is None
        async with linkspan.connect_raw(url) as raw:
            await raw.send(linkspan.opening_request(url))
            assert (await raw.receive_head(PATIENCE)).startswith(b'HTTP/1.1 101 ')
            with pytest.raises(linkspan.TimedOut):
                await raw.receive(timeout=0.01)
            await raw.end_sending()
            assert await raw.receive(10, timeout=PATIENCE) == b''
            assert raw.peer and raw.fileno() > 0

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason='asyncio.timeout is newer')
def test_asyncio_timeout_ends_a_wait(url):
    async def main():
        async with linkspan.connect(url) as ws:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await ws.receive()

    run(main())
