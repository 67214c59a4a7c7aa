"""Python handlers at the end of a child, beside mod_wsgi, and what each costs."""

import contextlib
import pathlib
import re
import signal
import time

import pytest

from client import BINARY, CLOSE, TEXT, Raw, ask, closing, connect, frame
from conftest import WAYS, folder
from httpd import MODULES, wait_for
from test_end import THREADS, has_gone
from test_handshake import GOOD
from test_python import EXAMPLES, python, written

HERE = pathlib.Path(__file__).parent

# Each process starts a Python of its own.
PROCESSES = "StartServers 10\nMinSpareServers 1\nMaxSpareServers 10\nServerLimit 20\nMaxRequestWorkers 20\n"

# Tells in a file of its own how each of its handlers has ended.
TELLING = """
import os

def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    request.ws_stream.send_message('open')
    got = request.ws_stream.receive_message()
    flags = (got, request.ws_close_code, request.client_terminated, request.server_terminated)
    with open(%r, 'a') as ends:
        os.write(ends.fileno(), ('%%r\\n' %% (flags,)).encode())
"""
WSGI = """
import sys
def application(environ, start_response):
    import threading
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [('%s %s' % ('mod_pywebsocket' in sys.modules, sys.version_info[:2])).encode()]
"""


@pytest.fixture
def place():
    with folder() as made:
        path = pathlib.Path(made)
        (path / "ends").touch()
        (path / "ends").chmod(0o666)
        (path / "application.wsgi").write_text(WSGI)
        yield path


def options(place, way, wsgi=False):
    beside = ""
    if wsgi:
        beside = (f"LoadModule wsgi_module {MODULES}/mod_wsgi.so\nWSGIScriptAlias /app {place}/application.wsgi\n"
                  f"WSGIApplicationGroup %{{GLOBAL}}\n<Location /app>\nSetHandler wsgi-script\n</Location>\n")
    mpm, option = WAYS[way]
    room = PROCESSES if mpm == "prefork" else THREADS
    root = written(place, telling=TELLING % str(place / "ends"))
    return {"options": f"{option}\n{room}" + python(root, "LinkspanPythonMaxThreads 600") + beside, "mpm": mpm}


def opened(server, count):
    some = [Raw(server, "/telling") for _ in range(count)]
    for raw in some:
        assert raw.receive() == (TEXT, b"open")
    return some


def told(raw):
    opcode, payload = raw.receive()
    assert opcode == CLOSE
    return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize("wsgi", [False, True], ids=["alone", "beside mod_wsgi"])
@pytest.mark.parametrize("way, signal_name", [
    ("suspend", "SIGUSR1"), ("suspend", "SIGWINCH"), ("suspend", "SIGTERM"), ("detach", "SIGUSR1"), ("sync", "SIGUSR1"),
    ("worker", "SIGUSR1"), ("prefork", "SIGUSR1"), ("prefork", "SIGTERM")])
def test_every_handler_hears_of_the_end(apache, place, way, signal_name, wsgi):
    server = apache(**options(place, way, wsgi))
    if wsgi:
        assert b"True" in ask(server, "/app")[2]
    count = 8 if way == "prefork" else 500 if way == "suspend" else 100
    all_of_them = opened(server, count)
    old = server.children()
    since = time.monotonic()
    server.signal(getattr(signal, signal_name))
    for raw in all_of_them:
        assert told(raw) == 1001
        raw.send(closing(1001))
    for raw in all_of_them:
        assert raw.is_at_end()
        raw.close()
    spent = time.monotonic() - since
    wait_for(lambda: all(map(has_gone, old)), 20, "an old child is still there")
    assert time.monotonic() - since < 3 + spent
    ends = (place / "ends").read_text().splitlines()
    assert len(ends) == count and set(ends) == {"(None, 1001, True, True)"}
    if signal_name == "SIGUSR1":
        with Raw(server, "/telling") as raw:
            assert raw.receive() == (TEXT, b"open")
        if wsgi:
            assert b"True" in ask(server, "/app")[2]


def test_who_does_not_answer_and_who_does_not_listen_keep_no_child(apache, place):
    server = apache(**options(place, "suspend"))
    (place / "handlers" / "deaf_wsh.py").write_text("""
import threading
def web_socket_do_extra_handshake(request):
    pass
def web_socket_transfer_data(request):
    request.ws_stream.send_message('open')
    threading.Event().wait()
""")
    server.signal(signal.SIGUSR1)
    wait_for(lambda: ask(server, "/deaf")[0] == 426, 20, "the new handler is not served")
    silent = opened(server, 20)
    deaf = [Raw(server, "/deaf") for _ in range(20)]
    for raw in deaf:
        assert raw.receive() == (TEXT, b"open")
    old = server.children()
    since = time.monotonic()
    server.signal(signal.SIGUSR1)
    for raw in silent + deaf:
        assert told(raw) == 1001
    wait_for(lambda: all(map(has_gone, old)), 20, "an old child is still there")
    # LinkspanGracefulTimeout, what handlers have to clean up, and a second.
    assert time.monotonic() - since < 5
    assert (place / "ends").read_text().splitlines().count("(None, 1001, True, True)") == 20
    for raw in silent + deaf:
        raw.close()


def resident(process):
    words = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", words)[1]), int(re.search(r"Threads:\s+(\d+)", words)[1])


def test_an_open_handler_costs_a_thread_and_little_memory(apache, place):
    one = ("StartServers 1\nServerLimit 1\nThreadLimit 25\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxSpareThreads 25\n"
           "AsyncRequestWorkerFactor 100\n")
    root = written(place, telling=TELLING % str(place / "ends"))
    server = apache(one + python(root, "LinkspanPythonMaxThreads 600", "LinkspanAccessLog upgrade"))
    for raw in opened(server, 50):
        raw.close()
    child, = server.children()
    wait_for(lambda: resident(child)[1] < 50, 20, "the threads stay")
    before, threads = resident(child)
    all_of_them = opened(server, 500)
    after, more = resident(child)
    assert more - threads == 500
    # A page of the stack or two, a frame of Python's, and the socket itself.
    assert after - before < 500 * 120
    assert ask(server, "/index.html")[0] == 200
    for raw in all_of_them:
        raw.close()
    wait_for(lambda: resident(child)[1] < 50, 20, "the threads stay")
    # More of the same costs nothing once malloc has its arenas, of which a round may make one more: what there was is
    # used again.
    sizes = [after]
    while len(sizes) < 6 and (len(sizes) < 2 or sizes[-1] - sizes[-2] >= 4000):
        for raw in opened(server, 500):
            raw.close()
        wait_for(lambda: resident(child)[1] < 50, 20, "the threads stay")
        sizes.append(resident(child)[0])
    assert sizes[-1] - sizes[-2] < 4000, sizes


def test_many_come_and_go(apache):
    """Nothing is left of them: threads, descriptors, memory."""
    server = apache("StartServers 1\nServerLimit 1\nThreadLimit 25\nThreadsPerChild 25\nMaxRequestWorkers 25\n"
                    "MaxSpareThreads 25\n" + python(EXAMPLES))

    def rounds(count):
        for _ in range(count):
            with Raw(server, "/echo") as raw:
                raw.send(frame(BINARY, b"x" * 1000))
                assert raw.receive() == (BINARY, b"x" * 1000)
            assert ask(server, "/abort_handshake" if count % 2 else "/nothing")[0] in (404, 426)

    rounds(100)
    child, = server.children()
    wait_for(lambda: resident(child)[1] < 40, 20, "the threads stay")
    files, memory = len(list(pathlib.Path(f"/proc/{child}/fd").iterdir())), resident(child)[0]
    rounds(700)
    wait_for(lambda: resident(child)[1] < 40, 20, "the threads stay")
    wait_for(lambda: len(list(pathlib.Path(f"/proc/{child}/fd").iterdir())) <= files + 2, 20, "descriptors stay")
    assert resident(child)[0] < memory + 2000
    with connect(server, "/echo") as socket:
        socket.send("still there")
        assert socket.recv() == "still there"


def answers(server):
    with contextlib.suppress(TimeoutError):
        return ask(server, "/index.html")[0] == 200


@pytest.mark.parametrize("way", ["suspend", "detach", "worker"])
def test_memory_is_used_as_it_may_be_and_given_back(configured, monkeypatch, way):
    mpm, option = WAYS[way]
    # Every object of Python's is a block that memcheck knows.
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    server = configured(f"{option}\nThreadsPerChild 8\nMaxRequestWorkers 8\n"
                        + python(EXAMPLES, location="LinkspanCompression On"), mpm=mpm)
    log = server.folder / "memcheck.log"
    server.start("valgrind", f"--log-file={log}", f"--suppressions={HERE}/python.supp", "--leak-check=full",
                 "--errors-for-leak-kinds=none", "--child-silent-after-fork=yes", arguments=("-X",))
    try:
        # Python takes its time in there.
        wait_for(lambda: answers(server), 240, "the child does not start")
        for _ in range(20):
            with connect(server, "/echo") as socket:
                for message in ("hello" * 1000, b"x" * 300000):
                    socket.send(message)
                    assert socket.recv(120) == message
            Raw(server, "/echo").close()
            with Raw(server, "/echo") as raw:
                raw.send(frame(TEXT, b"\xff"))
                assert told(raw) == 1007
            with Raw(server, "/internal_error") as raw:
                assert told(raw) == 1011
            assert ask(server, "/origin_check", GOOD)[0] == 403
            assert ask(server, "/nothing", GOOD)[0] == 404
    finally:
        server.stop()
    said = log.read_text()
    assert "ERROR SUMMARY: 0 errors" in said, said
    lost = re.search(r"definitely lost: ([\d,]+) bytes", said)
    # Of eighty handlers; a session of one has more than a hundred bytes.
    assert not lost or int(lost[1].replace(",", "")) < 3000, said
