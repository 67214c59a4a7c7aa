"""Threads that wait on a connection, whatever else the process does: it forks, ends, gets a signal."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from conftest import ECHO, PATIENCE
from test_baton import rounds

from linkspan import _linkspan
from mod_pywebsocket._workers import Workers


@pytest.fixture
def pair():
    """A native connection and the socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE)
    channel = _linkspan.Channel(ours.fileno())
    ours.close()
    yield channel, theirs
    channel.close()
    theirs.close()


def run(program, *arguments):
    """Runs a Python program to its end: what it printed."""
    process = subprocess.Popen([sys.executable, '-c', textwrap.dedent(program), *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        printed, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert (process.returncode, errors) == (0, b''), (process.returncode, errors)
    return printed.decode()


def in_thread(work, *arguments):
    """Starts ``work`` on a thread; a function that waits for its end and gives its result."""
    results = []

    def record():
        try:
            results.append(work(*arguments))
        except Exception as e:
            results.append(e)

    thread = threading.Thread(target=record, daemon=True)
    thread.start()

    def result():
        thread.join(PATIENCE)
        assert results, 'the thread still waits'
        return results[0]

    return result


def test_a_thread_waits_as_long_as_it_is_told(pair):
    channel, _ = pair
    channel.settimeout(0.05)
    assert isinstance(in_thread(channel.read, 1)(), TimeoutError)
    # Among others who wait longer, and one that is never told.
    other, far = socket.socketpair()
    endless = _linkspan.Channel(other.fileno())
    other.close()
    waiting = in_thread(endless.read, 1)
    for _ in range(5):
        # Sooner or later the other one is who waits for the events of both.
        assert isinstance(in_thread(channel.read, 1)(), TimeoutError)
    far.sendall(b'x')
    assert waiting() == b'x'
    far.close()


def test_a_writer_waits_for_room_while_another_thread_reads(pair):
    channel, theirs = pair
    data = os.urandom(1 << 20) * 8
    written = in_thread(channel.write, data)
    read = in_thread(channel.read, 4)
    theirs.sendall(b'ping')
    assert read() == b'ping'
    received = bytearray()
    while len(received) < len(data):
        received += theirs.recv(1 << 20)
    assert written() is None
    assert received == data


def test_a_read_that_fills_its_buffer_is_followed_by_another(pair):
    channel, theirs = pair
    has_come = threading.Event()
    data = bytes(range(256)) * 600

    def read():
        # From its first wait on, a thread knows what may be read from the system's events alone.
        received = channel.read(1)
        has_come.wait(PATIENCE)
        while len(received) <= len(data):
            received += channel.read(1 << 20)
        return received

    reading = in_thread(read)
    theirs.sendall(b'x')
    # More than one read takes, and all of it is there before the next.
    theirs.sendall(data)
    has_come.set()
    assert reading() == b'x' + data


def test_who_is_ready_first_has_its_turn_first():
    def note(number, order):
        order.append((channels[number].read(1), number))

    pairs = [socket.socketpair() for _ in range(20)]
    channels = [_linkspan.Channel(ours.fileno()) for ours, _ in pairs]
    before = sys.getswitchinterval()
    # Nobody else runs while all are made ready, but for those who ask for nothing of Python's.
    sys.setswitchinterval(10)
    try:
        for _ in range(10):
            order = []
            waiting = [in_thread(note, number, order) for number in range(len(channels))]
            for _, theirs in pairs:
                theirs.sendall(b'x')
            for result in waiting:
                result()
            if order == [(b'x', number) for number in range(len(channels))]:
                return
        pytest.fail('never in the order in which they were ready, the last time %r' % order)
    finally:
        sys.setswitchinterval(before)
        for channel, sockets in zip(channels, pairs):
            channel.close()
            for sock in sockets:
                sock.close()


def test_closing_wakes_a_reader_and_a_writer(pair):
    channel, _ = pair
    reading = in_thread(channel.read, 1)
    writing = in_thread(channel.write, bytes(8 << 20))
    # Both wait once the process runs nothing any more.
    while threading.active_count() < 3:
        time.sleep(0)
    channel.close()
    assert reading() == b'' or isinstance(reading(), OSError)
    assert isinstance(writing(), OSError)


def test_the_wait_for_the_gil_is_counted_when_it_is_asked_for(pair):
    channel, theirs = pair
    count, seconds = _linkspan.gil_wait()
    _linkspan.measure_gil_wait(True)
    try:
        reading = in_thread(channel.read, 1)
        deadline = time.monotonic() + PATIENCE
        # The thread may not wait yet when the first of these comes.
        while _linkspan.gil_wait()[0] == count:
            assert time.monotonic() < deadline
            theirs.sendall(b'x')
            reading()
            reading = in_thread(channel.read, 1)
        assert _linkspan.gil_wait()[1] > seconds
    finally:
        _linkspan.measure_gil_wait(False)
    theirs.sendall(b'x')
    reading()
    after = _linkspan.gil_wait()
    for _ in range(5):
        reading = in_thread(channel.read, 1)
        theirs.sendall(b'x')
        reading()
    assert _linkspan.gil_wait() == after


def test_a_signal_reaches_a_main_thread_that_receives():
    assert run('''
        import os, signal, socket, threading
        from linkspan import _linkspan
        # A shell that starts programs in the background has them ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ours, theirs = socket.socketpair()
        channel = _linkspan.Channel(ours.fileno())
        # Another thread waits too.
        others = [socket.socketpair() for _ in range(3)]
        channels = [_linkspan.Channel(other.fileno()) for other, _ in others]
        for other in channels:
            threading.Thread(target=other.read, args=(1,), daemon=True).start()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            channel.read(1)
        except KeyboardInterrupt:
            print('interrupted')
        timer.join()
    ''') == 'interrupted\n'


def test_a_forked_child_ends_while_its_parent_goes_on():
    assert run('''
        import os, socket, threading, warnings
        warnings.simplefilter('ignore')
        from linkspan import _linkspan
        pairs = [socket.socketpair() for _ in range(4)]
        channels = [_linkspan.Channel(ours.fileno()) for ours, _ in pairs]
        for ours, _ in pairs:
            ours.close()

        def echo(channel):
            while True:
                data = channel.read(100)
                if not data:
                    return
                if data == b'fork':
                    child = os.fork()
                    if child == 0:
                        # What the parent waits on is closed here, and is the parent's all the same.
                        channel.close()
                        os._exit(7)
                    _, status = os.waitpid(child, 0)
                    data = b'%d' % os.WEXITSTATUS(status)
                channel.write(data)

        for channel in channels:
            threading.Thread(target=echo, args=(channel,), daemon=True).start()
        del channel
        for data in (b'one', b'fork', b'two', b'fork', b'three'):
            for _, theirs in pairs:
                theirs.sendall(data)
            for _, theirs in pairs:
                print(theirs.recv(100).decode(), end=' ')
    ''') == 'one one one one 7 7 7 7 two two two two 7 7 7 7 three three three three '


def test_a_forked_child_may_use_a_connection():
    assert run('''
        import os, socket, threading, warnings
        warnings.simplefilter('ignore')
        from linkspan import _linkspan
        first, second = [socket.socketpair() for _ in range(2)]
        channel = _linkspan.Channel(first[0].fileno())
        other = _linkspan.Channel(second[0].fileno())
        threading.Thread(target=other.read, args=(1,), daemon=True).start()

        def fork():
            # This thread has waited among others already.
            print(channel.read(4).decode(), flush=True)
            if os.fork() == 0:
                threading.Timer(0.05, first[1].sendall, (b'late',)).start()
                os.write(1, channel.read(4))
                os._exit(0)
            os.wait()

        thread = threading.Thread(target=fork)
        thread.start()
        first[1].sendall(b'soon')
        thread.join()
    ''') == 'soon\nlate'


@pytest.mark.parametrize('message', ['', 'x'])
def test_the_interpreter_ends_while_threads_wait_and_come_back(message):
    for _ in range(5):
        assert run('''
            import atexit, socket, sys, threading
            from linkspan import _linkspan
            pairs = [socket.socketpair() for _ in range(8)]
            channels = [_linkspan.Channel(ours.fileno()) for ours, _ in pairs]

            def echo(channel):
                while True:
                    channel.write(channel.read(100))

            def knock():
                for _, theirs in pairs:
                    theirs.setblocking(False)
                while True:
                    for _, theirs in pairs:
                        try:
                            theirs.send(sys.argv[1].encode())
                            theirs.recv(100)
                        except BlockingIOError:
                            pass

            for channel in channels:
                threading.Thread(target=echo, args=(channel,), daemon=True).start()
            if sys.argv[1]:
                threading.Thread(target=knock, daemon=True).start()
            print('ends')
        ''', message) == 'ends\n'


# A subclass that takes the accepting steps itself gets a new thread for each connection.
CLASSIC = '''
import sys
from mod_pywebsocket import standalone, websocket_server

class Server(websocket_server.WebSocketServer):
    def process_request(self, request, client_address):
        websocket_server.WebSocketServer.process_request(self, request, client_address)

options, _ = standalone._parse_args_and_config(['-p', '0', '-H', 'localhost', '-w', sys.argv[1], '-d', sys.argv[1]])
options.cgi_directories = []
options.is_executable_method = None
server = Server(options)
print('listening on ws://localhost:%d/' % server.server_port, flush=True)
server.serve_forever()
'''


def test_threads_of_the_classic_accept_path_take_turns_and_end(tmp_path):
    (tmp_path / 'echo_wsh.py').write_text(ECHO)
    process = subprocess.Popen([sys.executable, '-c', CLASSIC, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        port = int(process.stdout.readline().decode().rstrip('/\n').rpartition(':')[2])
        for _ in range(3):
            # Their threads end with the baton, each time.
            assert rounds(port, 16, 10) == [10] * 16
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_server_without_room_for_a_thread_tries_again(caplog):
    with socket.create_server(('localhost', 0)) as listener:
        front = _linkspan.Front([listener.fileno()])
        served = threading.Event()
        workers = Workers(front, lambda channel: served.set(), 1 << 50)
        try:
            with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as client:
                client.sendall(b'GET / HTTP/1.1\r\n\r\n')
                workers.keep_one_waiting(0.01)
                assert 'no thread for one more connection' in caplog.text and not served.is_set()
                workers._stack_bytes = 1 << 20
                workers.keep_one_waiting(0.01)
                assert served.wait(PATIENCE)
        finally:
            front.close()
