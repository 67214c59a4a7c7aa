"""Handlers that start processes while the others go on."""

import contextlib
import subprocess
import sys

import pytest
from conftest import ECHO, PATIENCE, close, text

HOOKS = '''
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

warnings.simplefilter('ignore')

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    while request.ws_stream.receive_message() is not None:
        request.ws_stream.send_message(start())

'''
FORK = '''
def start():
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        # Memory, threads, and a library that was not there: what needs locks that another thread may have had.
        thread = threading.Thread(target=lambda: os.write(theirs, b'%d' % len([bytes(n) for n in range(5000)])))
        thread.start()
        thread.join()
        import _ctypes
        os._exit(0)
    os.close(theirs)
    said = os.read(ours, 10)
    os.close(ours)
    return '%s %d' % (said.decode(), os.waitpid(child, 0)[1])
'''
SUBPROCESS = '''
def start():
    done = subprocess.run(['cat'], input=b'5000 ', stdout=subprocess.PIPE)
    return done.stdout.decode() + str(done.returncode)
'''
MULTIPROCESSING = '''
def start():
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe()
    child = context.Process(target=theirs.send, args=(5000,))
    child.start()
    said = ours.recv()
    child.join()
    return '%d %d' % (said, child.exitcode)
'''


@pytest.mark.parametrize('source', [FORK, SUBPROCESS, MULTIPROCESSING], ids=['fork', 'subprocess', 'multiprocessing'])
def test_a_handler_starts_processes_while_others_echo(start, source):
    server = start({'echo': ECHO, 'starts': HOOKS + source})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(64)]
        starter = stack.enter_context(server.connect())
        for client in clients:
            client.upgrade()
        starter.upgrade('/starts')
        for number in range(20):
            word = 'round %d' % number
            starter.send(text(word))
            # They come and go while the process starts, so threads do too.
            newcomer = stack.enter_context(server.connect())
            newcomer.upgrade()
            for client in [*clients, newcomer]:
                client.send(text(word))
            for client in [*clients, newcomer]:
                assert client.read_frame() == (0x81, word.encode())
            assert starter.read_frame() == (0x81, b'5000 0')
            newcomer.send(close())
        # A child that had kept a connection would keep its client waiting for the end.
        for client in clients:
            client.send(close(1000))
            assert client.read_close() == 1000
            assert client.read_all() == b''
    assert 'Traceback' not in server.log()


@pytest.mark.parametrize('make', ['Front([sock.fileno()])', 'Channel(sock.fileno())'])
def test_native_threads_run_when_what_starts_them_returns(make):
    # Before that the GIL is not given up, so that no fork meets them halfway.
    program = """
import os, socket
from linkspan._linkspan import Channel, Front
sock = socket.create_server(('127.0.0.1', 0))
made = %s
for task in os.listdir('/proc/self/task'):
    with open('/proc/self/task/%%s/status' %% task) as status:
        fields = dict(line.split(':', 1) for line in status)
    if task != str(os.getpid()):
        # One that runs has blocked the signals, all that can be.
        print(fields['Name'].strip(), bin(int(fields['SigBlk'], 16)).count('1') > 32)
""" % make
    done = subprocess.run([sys.executable, '-c', program], stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    expected = {'linkspan-baton True', 'linkspan-front True'} if 'Front' in make else {'linkspan-baton True'}
    assert done.returncode == 0 and set(done.stdout.splitlines()) == expected
