"""Servers for the tests: started on a free port, known to listen, and ended with the test."""

import contextlib
import pathlib
import random
import socket
import subprocess
import threading
import time

import websockets.sync.server

ROOT = pathlib.Path(__file__).resolve().parents[1]
given = set()


def free_port():
    """A port of 127.0.0.1 that nothing holds at this moment, never the same twice. None of those that the system gives
    to clients (from 32768): one of thousands would take it before the server does."""
    while True:
        port = random.randrange(20000, 32768)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            if port not in given:
                given.add(port)
                return port


@contextlib.contextmanager
def started(command, **options):
    """A process that ends with the block, if it has not ended before."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def announcing(*command, **options):
    """A server whose first line ends with its URL; gives that URL and the process."""
    with started(command, stdout=subprocess.PIPE, text=True, **options) as process, process.stdout:
        yield process.stdout.readline().split()[-1], process


@contextlib.contextmanager
def accepting(command, port, **options):
    """A server that says nothing: gives the process when something accepts connections on its port."""
    with started(command, **options) as process:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the server does not listen: {command}") from None
                time.sleep(0.02)  # between two tries
        yield process


@contextlib.contextmanager
def python_server(handler, compress=True, tls=None):
    """A server of Python `websockets` on a thread of its own; gives its port."""
    compression = "deflate" if compress else None
    with websockets.sync.server.serve(handler, "127.0.0.1", 0, compression=compression, ssl=tls,
                                      max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
