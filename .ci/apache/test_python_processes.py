"""LinkspanPythonProcesses: handler files in processes of their own, behind the tunnel."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import websockets.exceptions

from client import TEXT, Raw, ask, closed_with, closing, connect, frame
from httpd import wait_for
from readable import MODULE, PACKAGES
from test_handlers import TOGETHER
from test_handshake import GOOD

MPMS = ["event", "worker"]
ECHO = """
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    while True:
        message = request.ws_stream.receive_message()
        if message is None:
            return
        request.ws_stream.send_message(message, binary=isinstance(message, bytes))
"""
# Says who it is, then does what it is told to.
DIES = """
import os, signal

def web_socket_do_extra_handshake(request):
    if '?die' in request.uri:
        os._exit(3)

def web_socket_transfer_data(request):
    request.ws_stream.send_message(str(os.getpid()))
    while True:
        message = request.ws_stream.receive_message()
        if message == 'exit':
            os._exit(7)
        if message == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if message == 'abort':
            os.abort()
        if message == 'raise':
            raise RuntimeError('as it was told')
        if message is None:
            return
        request.ws_stream.send_message(message)
"""


@pytest.fixture(scope="session")
def program():
    """A Python that the children's user may run, with the extension that this one has."""
    for one in (sys.executable, "/usr/bin/python3", *sorted(map(str, pathlib.Path("/usr/bin").glob("python3.*")))):
        who = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env"] if os.getuid() == 0 else []
        with contextlib.suppress(OSError):
            ran = subprocess.run([*who, one, "-c", "import linkspan._linkspan"], cwd="/", stderr=subprocess.DEVNULL,
                                 env={**os.environ, "PYTHONPATH": str(PACKAGES)})
            if ran.returncode == 0:
                return one
    raise AssertionError(f"no Python that nobody may run can import linkspan._linkspan from {PACKAGES}: the system's, /usr/bin/python3, has to "
                         "be of the version that runs the tests")


@pytest.fixture
def served(apache, program, place):
    """Starts a server of these handler files, in two processes."""
    def start(count=2, mpm="event", more="", location="", **files):
        root = pathlib.Path(place) / "handlers"
        root.mkdir()
        for name, text in files.items():
            (root / f"{name}_wsh.py").write_text(text)
        server = apache(f"{TOGETHER}{MODULE}LinkspanPythonHandlerRoot {root}\nLinkspanPythonExecutable {program}\n"
                        f"LinkspanPythonProcesses {count}\n{more}\n"
                        f"<Location />\nSetHandler linkspan\nLinkspanHandler python\n{location}\n</Location>\n", mpm=mpm)
        server.root = root
        return server
    return start


def processes(server):
    """The Python processes of a server that runs: its supervisor's children."""
    found = {}
    for one in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{server.folder}/linkspan-python." in (one / "cmdline").read_text():
                found[int(one.name)] = int((one / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return found


def is_there(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("mpm", MPMS)
def test_handlers_run_in_processes(served, mpm, tls):
    server = served(mpm=mpm, echo=ECHO, dies=DIES)
    with connect(server, "/echo", tls=tls) as one:
        for message in ["hello", b"bytes", "x" * 300000]:
            one.send(message)
            assert one.recv(30) == message
    seen = set()
    for _ in range(8):
        with connect(server, "/dies", tls=tls) as one:
            seen.add(int(one.recv(30)))
    # In turn.
    assert seen == set(processes(server))
    status, _, body = ask(server, "/index.html")
    assert (status, body) == (200, b"a plain page\n")
    assert ask(server, "/echo", ["Connection: close"])[0] == 426
    assert ask(server, "/nothing", GOOD)[0] == 404


TELLS = """
import json

def web_socket_do_extra_handshake(request):
    if '?no' in request.uri:
        raise ValueError('not you')
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[-1]
    request.extra_headers.append(('Set-Cookie', 'a=b'))
    request.extra_headers.append(('Set-Cookie', 'c=d'))

def web_socket_transfer_data(request):
    host, port = request.connection.remote_addr
    request.ws_stream.send_message(json.dumps({
        'uri': request.uri, 'host': request.headers_in['Host'], 'cookie': request.headers_in['Cookie'],
        'x': request.headers_in['X-Own'], 'remote': [host, port], 'is_https': request.is_https(),
        'origin': request.ws_origin, 'protocol': request.ws_protocol, 'method': request.method}))
    request.ws_stream.receive_message()

def web_socket_passive_closing_handshake(request):
    return request.ws_close_code + 1, 'heard ' + request.ws_close_reason
"""


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("mpm", MPMS)
def test_a_handler_knows_who_asks_and_says_what_is_answered(served, mpm, tls):
    server = served(mpm=mpm, tells=TELLS, more='ErrorDocument 403 "no entry"')
    port = server.tls_port if tls else server.port
    origin = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    # What a client says of itself as a proxy would is not believed.
    headers = {"Cookie": "e=f", "X-Own": "yes", "Forwarded": "for=evil", "X-Forwarded-For": "192.0.2.66"}
    with connect(server, "/tells?a=b%20c", tls=tls, subprotocols=["one", "two"], origin=origin,
                 additional_headers=headers) as one:
        assert one.subprotocol == "two" and one.response.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
        assert json.loads(one.recv(30)) == {
            "uri": "/tells?a=b%20c", "host": f"127.0.0.1:{port}", "cookie": "e=f", "x": "yes",
            "remote": ["127.0.0.1", one.socket.getsockname()[1]], "is_https": tls, "origin": origin,
            "protocol": "two", "method": "GET"}
        one.protocol.send_close(4000, "bye")
        one.pump(30, lambda: False)
        assert one.protocol.close_rcvd.code == 4001 and one.protocol.close_rcvd.reason == "heard bye"
    status, _, body = ask(server, "/tells?no", GOOD)
    assert (status, body) == (403, b"no entry")
    wait_for(lambda: "not you" in server.errors(), 10, "the log does not say why")


@pytest.mark.parametrize("how", ["exit", "kill", "abort"])
@pytest.mark.parametrize("mpm", MPMS)
def test_a_process_that_dies_takes_its_own_sockets_only(served, mpm, how):
    server = served(mpm=mpm, dies=DIES)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(server, "/dies")) for _ in range(6)]
        of = [int(one.recv(30)) for one in sockets]
        victim = of[0]
        sockets[0].send(how)
        for one, pid in zip(sockets, of):
            if pid == victim:
                with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1011"):
                    one.recv(30)
            else:
                one.send("well")
                assert one.recv(30) == "well"
        since = time.monotonic()
        # Whoever comes meanwhile is served by the other, or waits for the next.
        for _ in range(4):
            with connect(server, "/dies") as one:
                assert int(one.recv(30)) != victim
        wait_for(lambda: len(processes(server)) == 2 and victim not in processes(server), 30, "no new process")
        new = set(processes(server)) - set(of)
        seen = set()
        while not new & seen:
            with connect(server, "/dies") as one:
                seen.add(int(one.recv(30)))
        assert time.monotonic() - since < 20
    wait_for(lambda: f"pid {victim}; the next one begins in 100 ms" in server.errors(), 10, "the log does not tell")


def test_a_handler_that_raises_ends_its_own_socket(served):
    server = served(count=1, dies=DIES)
    with connect(server, "/dies") as one, connect(server, "/dies") as two:
        two.recv(30)
        one.recv(30)
        one.send("raise")
        with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1011"):
            one.recv(30)
        two.send("well")
        assert two.recv(30) == "well"
    wait_for(lambda: "RuntimeError: web_socket_transfer_data raised exception for /dies: as it was told" in server.errors(), 10, "the log has no traceback")


def test_a_process_that_dies_again_and_again_is_started_later_and_later(served):
    server = served(count=1, dies=DIES)
    with connect(server, "/dies") as one:
        one.recv(30)
    statuses = set()
    for delay in (100, 200, 400):
        def killed(delay=delay):
            status, fields, _ = ask(server, "/dies?die", GOOD)
            statuses.add((status, fields.get("retry-after")))
            return f"begins in {delay} ms" in server.errors()
        wait_for(killed, 30, f"no delay of {delay} ms")
    # The one that died of the question, and while there was none.
    assert statuses <= {(502, None), (503, "1")} and (502, None) in statuses
    wait_for(lambda: ask(server, "/dies", [*GOOD])[0] == 101, 30, "it does not come back")


def test_while_no_process_is_there_503_says_when_to_come_again(served):
    server = served(count=1, echo=ECHO, more="LinkspanPythonExecutable /bin/false")
    wait_for(lambda: "ended with status 1" in server.errors(), 30, "nothing is said")
    def answer():
        status, fields, _ = ask(server, "/echo", GOOD)
        return status == 503 and fields["retry-after"] == "1"
    wait_for(answer, 30, "no 503")


@pytest.mark.parametrize("which", ["TERM", "KILL"])
@pytest.mark.parametrize("mpm", MPMS)
def test_no_process_outlives_apache(served, mpm, which):
    server = served(mpm=mpm, dies=DIES)
    with connect(server, "/dies") as one:
        one.recv(30)
    found = processes(server)
    everybody = [*found, *set(found.values()), *server.children()]
    assert len(found) == 2
    if which == "KILL":
        server.process.kill()
        server.process.wait()
        # Apache's own children are not ours to end, but the test's.
        for pid in set(everybody) - set(found) - set(found.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    else:
        server.stop()
    ours = [*found, *set(found.values())]
    wait_for(lambda: not any(map(is_there, ours)), 20, "a process is left")
    if which == "TERM":
        assert not list(pathlib.Path(server.folder).glob("linkspan-python.*"))


def test_a_new_supervisor_follows_one_that_died(served):
    server = served(count=1, echo=ECHO)
    with connect(server, "/echo") as one:
        one.send("hello")
        assert one.recv(30) == "hello"
        (pid, supervisor), = processes(server).items()
        os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            one.recv(30)
    # The socket has not gone: who comes waits.
    with connect(server, "/echo") as one:
        one.send("again")
        assert one.recv(30) == "again"
    assert not is_there(pid) and not is_there(supervisor)
    wait_for(lambda: "the supervisor of the Python processes has died" in server.errors(), 10, "nothing is said")


@pytest.mark.parametrize("mpm", MPMS)
def test_graceful_starts_new_processes_with_the_new_configuration(served, mpm):
    server = served(mpm=mpm, echo=ECHO)
    old = {}
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"hello"))
        assert raw.receive() == (TEXT, b"hello")
        old = processes(server)
        text = server.configuration.read_text().replace("LinkspanPythonProcesses 2", "LinkspanPythonProcesses 3")
        server.configuration.write_text(text)
        (server.root / "new_wsh.py").write_text(DIES)
        server.signal(signal.SIGUSR1)
        assert closed_with(raw) == 1001
        raw.send(closing(1001))
    wait_for(lambda: len(set(processes(server)) - set(old)) == 3, 30, "no new processes")

    def speaks():
        with contextlib.suppress(EOFError, OSError), Raw(server, "/new") as raw:
            return " 101 " in raw.head and raw.receive()[1]
    wait_for(speaks, 30, "the new handler does not answer")
    wait_for(lambda: not any(map(is_there, [*old, *old.values()])), 20, "an old process is left")
    assert "long lost child" not in server.errors()


def test_processes_are_not_root(served):
    server = served(echo=ECHO)
    wait_for(lambda: len(processes(server)) == 2, 20, "no processes")
    for pid in [*processes(server), *processes(server).values()]:
        if os.getuid() == 0:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
    folder, = pathlib.Path(server.folder).glob("linkspan-python.*")
    assert folder.stat().st_mode & 0o777 == 0o700
    for pid in processes(server):
        # The listening socket is theirs, and nothing else of Apache's.
        held = [os.readlink(one) for one in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        assert not any("error.log" in one or "access.log" in one for one in held)


def test_a_program_that_is_not_there_is_said(configured, place):
    for line, words in [("LinkspanPythonExecutable /nowhere/python", "there is no such program"),
                        ("LinkspanPythonProcesses many", "LinkspanPythonProcesses is a number from 0")]:
        is_good, said = configured(f"{MODULE}{line}\n").check()
        assert not is_good and words in said
