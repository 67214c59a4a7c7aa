"""Handlers that are ``async``: on one loop and without a thread each. What their hooks may do is in test_hooks."""

import re
import signal
import socket
import threading

import pytest
from conftest import ECHO, PATIENCE, Client, Wrapped, as_async, close, head, masked, text

from mod_pywebsocket.websocket_server import WebSocketServer

HOOK = '''
import asyncio, os, sys, threading, time
from mod_pywebsocket import msgutil

def web_socket_do_extra_handshake(request):
    pass

'''

ASYNC_ECHO = as_async(ECHO)


def wait_for(is_true):
    event = threading.Event()
    for _ in range(PATIENCE * 100):
        if is_true():
            return
        event.wait(0.01)
    raise AssertionError('it never came true')


def test_a_thousand_open_connections_are_no_thousand_threads(start):
    server = start({'echo': HOOK + ASYNC_ECHO.replace(
        'send_message(message', "send_message(str(threading.active_count()) if message == 'threads' else message")})
    clients = [server.connect() for _ in range(1000)]
    for client in clients:
        client.upgrade()
    for number, client in enumerate(clients):
        client.send(text(str(number)))
    for number, client in reversed(list(enumerate(clients))):
        assert client.read_frame() == (0x81, str(number).encode())
    clients[500].send(text('threads'))
    # The main thread, the loop and the threads of a few handshakes.
    assert int(clients[500].read_frame()[1]) < 30
    for client in clients:
        client.send(close(1000))
    for client in clients:
        assert client.read_close() == 1000 and client.read_all() == b''
        client.sock.close()


def test_messages_of_every_size(start, certificates, trusting):
    plain = start({'echo': ASYNC_ECHO})
    secure = start({'echo': ASYNC_ECHO}, '-t', '-c', certificates['server'], '-k', certificates['server_key'])
    batches = [[b'x' * size] for size in (0, 1, 125, 126, 65535, 65536, 3000000)]
    batches.append([b'%d' % number for number in range(3000)])
    for server, context in ((plain, None), (secure, trusting)):
        with server.connect(context) as client:
            client.upgrade()
            # Not from a second thread: before Python 3.13 a TLS socket that two threads use may say that it has ended.
            for messages in batches:
                client.send(b''.join(masked(0x82, message) for message in messages))
                assert [client.read_frame() for _ in messages] == [(0x82, message) for message in messages]
            client.send(close(1000))
            assert client.read_close() == 1000


def test_one_task_receives_while_another_sends(start):
    server = start({'both': HOOK + '''
async def web_socket_transfer_data(request):
    async def receive():
        while await request.ws_stream.receive_message() != 'stop':
            received.append(1)
    async def send():
        for number in range(100):
            await request.ws_stream.send_message(str(number))
    received = []
    await asyncio.gather(receive(), send())
    await msgutil.send_message(request, '%d received' % len(received))
'''})
    with server.connect() as client:
        client.upgrade('/both')
        assert [client.read_frame()[1] for _ in range(100)] == [b'%d' % number for number in range(100)]
        client.send(text('x') * 50 + text('stop'))
        assert client.read_frame() == (0x81, b'50 received')


def test_two_tasks_cannot_receive(start):
    server = start({'two': HOOK + '''
async def web_socket_transfer_data(request):
    await asyncio.gather(request.ws_stream.receive_message(), request.ws_stream.receive_message())
'''})
    with server.connect() as client:
        client.upgrade('/two')
        assert client.read_all() == b''
    assert 'RuntimeError: web_socket_transfer_data raised exception for /two: another task receives' in server.log()


def test_a_close_leaves_its_answer_to_the_task_that_receives(start):
    server = start({'closer': HOOK + '''
async def web_socket_transfer_data(request):
    receiving = asyncio.create_task(request.ws_stream.receive_message())
    await asyncio.sleep(0)
    await request.ws_stream.close_connection(3000, 'enough')
    print(await receiving, request.ws_close_code, file=sys.stderr, flush=True)
'''})
    with server.connect() as client:
        client.upgrade('/closer')
        assert client.read_close() == 3000
        client.send(close(3001))
        assert client.read_all() == b''
    assert 'None 3001\n' in server.log()


def test_sending_waits_for_a_peer_that_does_not_read_and_nobody_else_does(start):
    server = start({'flood': HOOK + '''
sent = []
async def web_socket_transfer_data(request):
    if 'count' in request.uri:
        while await request.ws_stream.receive_message():
            await request.ws_stream.send_message(str(len(sent)))
        return
    await asyncio.gather(*[flood(request) for _ in range(100)])

MESSAGE = 'x' * 1000000
async def flood(request):
    for _ in range(2):
        await request.ws_stream.send_message(MESSAGE)
        sent.append(1)
'''})
    with server.connect() as stuck, server.connect() as client:
        stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        stuck.upgrade('/flood')
        client.upgrade('/flood?count')
        counts = []
        while len(counts) < 20 or counts[-1] != counts[-20]:
            client.send(text('how many?'))
            counts.append(int(client.read_frame()[1]))
        # What the kernels' buffers hold.
        assert counts[-1] < 20
        resident = int(re.search(r'VmRSS:\s+(\d+)', open('/proc/%d/status' % server.process.pid).read()).group(1))
        assert resident < 80000
        for _ in range(200):
            assert stuck.read_frame() == (0x81, b'x' * 1000000)
        assert stuck.read_close() == 1000


@pytest.mark.parametrize('direction', ['send', 'receive'])
def test_a_task_that_never_waits_lets_others_run(start, direction):
    server = start({'echo': ASYNC_ECHO, 'busy': HOOK + '''
async def web_socket_transfer_data(request):
    while True:
        if 'send' in request.uri:
            await request.ws_stream.send_message('x')
        else:
            await request.ws_stream.receive_message()
'''})
    is_over = threading.Event()
    with server.connect() as busy, server.connect() as client:
        busy.upgrade('/busy?' + direction)

        def keep_busy():
            flood = text('x') * 10000
            while not is_over.is_set():
                if direction == 'send':
                    busy.sock.recv(1 << 20)
                else:
                    busy.sock.sendall(flood)

        thread = threading.Thread(target=keep_busy)
        thread.start()
        try:
            client.upgrade()
            for _ in range(20):
                client.send(text('quick'))
                assert client.read_frame() == (0x81, b'quick')
        finally:
            is_over.set()
            thread.join()


def test_a_receive_that_is_given_up_loses_nothing(start):
    server = start({'patience': HOOK + '''
async def web_socket_transfer_data(request):
    timeouts = 0
    while True:
        try:
            message = await asyncio.wait_for(request.ws_stream.receive_message(), 0.001)
        except asyncio.TimeoutError:
            if not timeouts:
                await request.ws_stream.send_message('go')
            timeouts += 1
            continue
        if message is None:
            return
        await request.ws_stream.send_message(message)
'''})
    with server.connect() as client:
        client.upgrade('/patience')
        assert client.read_frame() == (0x81, b'go')
        for number in range(50):
            message = text('%d' % number)
            client.send(message[:4])
            client.send(message[4:])
            assert client.read_frame() == (0x81, b'%d' % number)
        client.send(close(1000))
        assert client.read_close() == 1000


def test_hooks_of_pings_may_be_async(start):
    server = start({'ping': HOOK + '''
async def web_socket_transfer_data(request):
    async def answer(request, body):
        await request.ws_stream.send_message(body.decode())
        if body == b'end':
            await request.ws_stream.close_connection(3000, 'in a hook')
            print('it is closed', file=sys.stderr, flush=True)
    request.on_ping_handler = answer
    await request.ws_stream.receive_message()
'''})
    with server.connect() as client:
        client.upgrade('/ping')
        client.send(masked(0x89, b'one') + masked(0x89, b'end') + close(3000))
        assert client.read_frame() == (0x81, b'one')
        assert client.read_frame() == (0x81, b'end')
        assert client.read_close() == 3000
        wait_for(lambda: 'it is closed' in server.log())


def test_the_longest_message_is_bounded_before_it_comes(start):
    server = start({'echo': ASYNC_ECHO}, '--max-message-bytes', '1000')
    for frame in (masked(0x82, b'', length=1001), masked(0x02, b'x' * 600) + masked(0x00, b'', length=401)):
        with server.connect() as client:
            client.upgrade()
            client.send(masked(0x82, b'x' * 1000))
            assert client.read_frame() == (0x82, b'x' * 1000)
            client.send(frame)
            assert client.read_close() == 1009
    with server.connect() as client:
        client.upgrade()
        client.send(masked(0x89, b'', length=1 << 40))
        assert client.read_close() == 1002


def test_a_ping_may_be_longer_than_a_message(start):
    server = start({'echo': as_async(ECHO)}, '--max-message-bytes', '10')
    ping = masked(0x89, b'p' * 100)
    with server.connect() as client, server.connect() as other:
        client.upgrade()
        other.upgrade()
        client.send(ping[:50])
        # What has come of it has been looked at when the other has its answer.
        for _ in range(3):
            other.send(text('x'))
            assert other.read_frame() == (0x81, b'x')
        client.send(ping[50:])
        assert client.read_frame() == (0x8a, b'p' * 100)


def test_frames_by_hand_cannot_be_waited_for(start):
    server = start({'raw': HOOK + '''
async def web_socket_transfer_data(request):
    request.connection.read(1)
'''})
    with server.connect() as client:
        client.upgrade('/raw')
        assert client.read_all() == b''
    assert 'connection.read cannot wait in an async handler' in server.log()


def test_a_raw_write_is_refused_while_one_waits(start):
    server = start({'raw': HOOK + '''
async def web_socket_transfer_data(request):
    written = 0
    try:
        while True:
            request.connection.write(b'\\x82\\x7e\\xff\\xff' + b'x' * 65535)
            written += 1
    except BlockingIOError as e:
        await request.ws_stream.send_message('%d %s' % (written, e))
'''})
    with server.connect() as client:
        client.upgrade('/raw')
        written = 0
        while (frame := client.read_frame())[0] == 0x82:
            assert frame[1] == b'x' * 65535
            written += 1
        assert frame[1].decode().startswith('%d what was written before has not gone yet' % written)


def test_a_message_that_is_there_does_not_touch_the_loop(start):
    server = start({'there': HOOK + '''
async def web_socket_transfer_data(request):
    rounds = []
    await request.ws_stream.receive_message()
    asyncio.get_running_loop().call_soon(rounds.append, 1)
    for _ in range(50):
        await request.ws_stream.receive_message()
        await request.ws_stream.send_message('%d' % len(rounds))
    await asyncio.sleep(0)
    await request.ws_stream.send_message('%d' % len(rounds))
'''})
    with server.connect() as client:
        client.upgrade('/there')
        client.send(text('x') * 51)
        assert [client.read_frame()[1] for _ in range(51)] == [b'0'] * 50 + [b'1']


def test_the_end_may_come_with_the_last_messages(start):
    server = start({'echo': ASYNC_ECHO})
    for messages in (1, 100):
        assert server.exchange(head() + text('last') * messages).endswith(b'\x81\x04last' * messages)
        with server.connect() as client:
            client.upgrade()
            client.send(text('last') * messages)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_all() == b'\x81\x04last' * messages


def test_who_cancels_a_receive_may_say_why(start):
    server = start({'cancels': HOOK + '''
async def web_socket_transfer_data(request):
    receiving = asyncio.create_task(request.ws_stream.receive_message())
    await asyncio.sleep(0)
    receiving.cancel('enough')
    try:
        await receiving
    except asyncio.CancelledError as e:
        # Older Pythons tell it by a second exception.
        await request.ws_stream.send_message('%s %s' % (receiving.cancelled(), (e.args or e.__context__.args)[0]))
    await request.ws_stream.send_message(await request.ws_stream.receive_message())
'''})
    with server.connect() as client:
        client.upgrade('/cancels')
        assert client.read_frame() == (0x81, b'True enough')
        client.send(text('still there'))
        assert client.read_frame() == (0x81, b'still there')


def test_a_task_that_exits_leaves_others_their_messages(start):
    server = start({'echo': ASYNC_ECHO, 'exits': HOOK + '''
async def web_socket_transfer_data(request):
    async def receive():
        await request.ws_stream.receive_message()
        sys.exit(3)
    request.task = asyncio.create_task(receive())
    await request.ws_stream.send_message('ready')
    await asyncio.wait([request.task])
    await request.ws_stream.send_message('it has ended')
'''})
    with server.connect() as one, server.connect() as two, server.connect() as client:
        client.upgrade()
        for exits in (one, two):
            exits.upgrade('/exits')
            assert exits.read_frame() == (0x81, b'ready')
        for sender in (one, client, two):
            sender.send(text('go on'))
        assert client.read_frame() == (0x81, b'go on')
        for exits in (one, two):
            assert exits.read_frame() == (0x81, b'it has ended')


# Tasks.


def test_a_task_has_a_name_and_is_in_the_log_when_it_fails(start):
    server = start({'fails': HOOK + '''
async def web_socket_transfer_data(request):
    await request.ws_stream.send_message(asyncio.current_task().get_name())
    if await request.ws_stream.receive_message() == 'exit':
        sys.exit(1)
    if request.uri.endswith('cancel'):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: sys.exit(5))
    await asyncio.sleep(0.001)
    raise ValueError('mine')
'''})
    with server.connect() as client:
        client.upgrade('/fails?value')
        name = client.read_frame()[1].decode()
        assert name.startswith('/fails?value from (') and str(client.sock.getsockname()[1]) in name
        client.send(text('go on'))
        assert client.read_all() == b''
    log = server.log()
    assert 'web_socket_transfer_data raised exception for /fails?value: mine' in log
    assert 'Traceback' in log and 'fails_wsh.py", line' in log
    # Neither that nor what a task of its own raises ends the others.
    with server.connect() as client:
        client.upgrade('/fails?exit')
        client.read_frame()
        client.send(text('exit'))
        assert client.read_all() == b''
    with server.connect() as client:
        client.upgrade('/fails?cancel')
        client.read_frame()
        client.send(text('go on'))
        assert client.read_all() == b''
    assert 'CancelledError' in server.log()[len(log):]


def test_a_task_that_outlives_its_handler_is_told(start):
    server = start({'outlives': HOOK + '''
async def web_socket_transfer_data(request):
    async def receive():
        try:
            await request.ws_stream.receive_message()
        except Exception as e:
            outcomes.append(type(e).__name__)
        try:
            await request.ws_stream.send_message('late')
        except Exception as e:
            outcomes.append(type(e).__name__)
        print(outcomes, file=sys.stderr, flush=True)
    outcomes = []
    request.task = asyncio.create_task(receive())
    await asyncio.sleep(0)
    await request.ws_stream.close_connection(wait_response=False)
'''})
    with server.connect() as client:
        client.upgrade('/outlives')
        assert client.read_close() == 1000
        assert client.read_all() == b''
    # The task runs on after the connection is closed.
    wait_for(lambda: "['ConnectionTerminatedException', 'BadOperationException']" in server.log()
             or "['ConnectionTerminatedException', 'ConnectionTerminatedException']" in server.log())


def test_a_connection_that_is_closed_elsewhere_ends_its_handler(start):
    server = start({'elsewhere': HOOK + '''
async def web_socket_transfer_data(request):
    threading.Timer(0.01, request._request_handler.connection.close).start()
    try:
        await request.ws_stream.receive_message()
    finally:
        print('it has ended', file=sys.stderr, flush=True)
'''})
    with server.connect() as client:
        client.upgrade('/elsewhere')
        assert client.read_all() == b''
        wait_for(lambda: 'it has ended' in server.log())


def test_handlers_of_both_kinds_share_a_server(start):
    other = '''
async def web_socket_transfer_data(request):
    everyone = sys.modules.setdefault('everyone', set())
    everyone.add(request)
    await request.ws_stream.send_message('welcome')
    while True:
        message = await request.ws_stream.receive_message()
        if message is None:
            everyone.discard(request)
            return
        for other in everyone.copy():
            SEND
'''
    blocking = other.replace('async ', '').replace('await ', '').replace('SEND', 'other.ws_stream.send_message(message)')
    awaiting = other.replace('SEND', '''
            if asyncio.iscoroutine(sent := other.ws_stream.send_message(message)):
                await sent''')
    server = start({'blocking': HOOK + blocking, 'awaiting': HOOK + awaiting})
    with server.connect() as one, server.connect() as two, server.connect() as three:
        for client, resource in ((one, '/blocking'), (two, '/awaiting'), (three, '/awaiting')):
            client.upgrade(resource)
            assert client.read_frame() == (0x81, b'welcome')
        for sender in (one, two, three):
            sender.send(text('to all'))
            for client in (one, two, three):
                assert client.read_frame() == (0x81, b'to all')


# The end of the server.


def test_a_signal_says_goodbye_and_lets_handlers_clean_up(start):
    server = start({'echo': ASYNC_ECHO, 'waits': HOOK + '''
async def web_socket_transfer_data(request):
    try:
        await request.ws_stream.send_message('ready')
        await asyncio.sleep(3600)
    finally:
        print('cleaned up', file=sys.stderr, flush=True)
'''})
    with server.connect() as client, server.connect() as waiting:
        client.upgrade()
        waiting.upgrade('/waits')
        waiting.read_frame()
        server.process.send_signal(signal.SIGTERM)
        assert client.read_close() == waiting.read_close() == 1001
        client.send(close(1001))
        assert client.read_all() == b''
        assert server.process.wait(PATIENCE) == -signal.SIGTERM
    log = server.log()
    assert 'cleaned up' in log and 'Traceback' not in log, log


def test_a_handler_that_will_not_be_cancelled_does_not_hold_the_end(start):
    server = start({'stubborn': HOOK + '''
async def web_socket_transfer_data(request):
    await request.ws_stream.send_message('ready')
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print('no', file=sys.stderr, flush=True)
'''})
    with server.connect() as client:
        client.upgrade('/stubborn')
        client.read_frame()
        server.process.send_signal(signal.SIGINT)
        assert client.read_close() == 1001
        assert server.process.wait(PATIENCE) == -signal.SIGINT
    assert 'no\n' in server.log()


# Servers of others.


def connect(server):
    return Client(socket.create_connection(server._sockets[0][0].getsockname()[:2], PATIENCE))


class OneStepIsOurs(WebSocketServer):
    def verify_request(self, request, client_address):
        return True


class Wraps(WebSocketServer):
    def get_request(self):
        request, address = super().get_request()
        return Wrapped(request), address


@pytest.mark.parametrize('server_class', [WebSocketServer, OneStepIsOurs])
def test_a_server_in_a_thread_has_a_loop_until_the_last_handler_ends(embed, server_class):
    def loops():
        return [thread for thread in threading.enumerate() if thread.name == 'Handler-loop']

    server = embed(server_class, {'it': ASYNC_ECHO})
    before = len(loops())
    with connect(server) as client, connect(server) as other:
        client.upgrade('/it')
        other.upgrade('/it')
        assert len(loops()) == before + 1
        assert len(server._open_requests) == 2
        other.send(close(1000))
        assert other.read_close() == 1000 and other.read_all() == b''
        server.shutdown()
        client.send(text('still here'))
        assert client.read_frame() == (0x81, b'still here')
        client.send(close(1000))
        assert client.read_close() == 1000 and client.read_all() == b''
    if server_class is WebSocketServer:
        wait_for(lambda: len(loops()) == before)
    assert not server._open_requests


def test_a_wrapped_socket_is_refused_in_one_sentence(embed, caplog):
    server = embed(Wraps, {'it': ASYNC_ECHO})
    with connect(server) as client:
        client.upgrade('/it')
        assert client.read_all() == b''
    assert 'an async handler needs the connection of our own server with its own methods' in caplog.text


def test_an_async_handler_that_others_dispatch_is_waited_for(embed):
    from mod_pywebsocket import dispatch

    class Counting(dispatch.Dispatcher):
        def transfer_data(self, request):
            del request._conversation
            super().transfer_data(request)
            ended.append(request.ws_close_code)

    ended = []
    server = embed(WebSocketServer, {'it': ASYNC_ECHO})
    server.websocket_server_options.dispatcher.__class__ = Counting
    with connect(server) as client:
        client.upgrade('/it')
        assert not ended
        client.send(close(3000))
        assert client.read_close() == 1000 and client.read_all() == b''
    assert ended == [3000]
