"""Sockets that say nothing: what they cost, and how long they may."""

import os
import signal
import subprocess
import sys
import time

import pytest

from client import PING, PONG, TEXT, Raw, ask, connect, frame
from conftest import echo
from httpd import wait_for

ONE_CHILD = """
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
MaxSpareThreads 25
AsyncRequestWorkerFactor 400
ListenBacklog 4096
"""


def threads(process):
    return len(os.listdir(f"/proc/{process}/task"))


@pytest.mark.parametrize("detach, tls, count", [("Off", False, 9000), ("Auto", False, 9000), ("Off", True, 2000)],
                         ids=["suspend-ws", "detach-ws", "suspend-wss"])
def test_thousands_of_idle_sockets_hold_no_worker(apache, detach, tls, count):
    server = apache(ONE_CHILD + echo(f"LinkspanDetach {detach}\nLinkspanAccessLog upgrade"))
    assert ask(server, "/index.html")[0] == 200
    child, = server.children()
    # Every thread of the child has started once it has served so many at once.
    before = wait_for(lambda: threads(child) > 25 and threads(child), 30, "the workers do not start")
    sockets = []
    try:
        for _ in range(count):
            sockets.append(Raw(server, tls=tls))
        assert threads(child) == before
        times = []
        for _ in range(20):
            since = time.monotonic()
            assert ask(server, "/index.html")[2] == b"a plain page\n"
            times.append(time.monotonic() - since)
        # The machine may be busy for a moment; the server is not.
        assert sorted(times)[len(times) // 2] < 0.1, times
        for one in (sockets[0], sockets[count // 2], sockets[-1]):
            one.send(frame(TEXT, b"awake"))
            assert one.receive() == (TEXT, b"awake")
    finally:
        for one in sockets:
            one.close()
    # The child forgets them all.
    files = f"/proc/{child}/fd"
    wait_for(lambda: len(os.listdir(files)) < 200, 60, "descriptors are left")


def test_apaches_timeouts_end_no_socket(carried):
    # Apache would end a request that takes so long to come.
    server = carried("Timeout 1\nKeepAliveTimeout 1\nRequestReadTimeout header=1-2,MinRate=500 body=1-2,MinRate=500\n"
                     + echo())
    with Raw(server) as one, Raw(server, tls=True) as two:
        time.sleep(4)  # what is tested is that this much silence does nothing
        for raw in (one, two):
            raw.send(frame(TEXT, b"late"))
            assert raw.receive() == (TEXT, b"late")


def test_a_peer_that_does_not_answer_pings_is_given_up(carried):
    server = carried(echo("LinkspanPingInterval 200ms\nLinkspanPongTimeout 1"))
    with Raw(server) as silent, Raw(server) as alive:
        for _ in range(8):
            opcode, payload = alive.receive()
            assert opcode == PING
            alive.send(frame(PONG, payload))
        # The other has read nothing and answered nothing meanwhile.
        with pytest.raises(EOFError):
            while silent.receive()[0] == PING:
                pass
        alive.send(frame(TEXT, b"here"))
        while alive.receive() != (TEXT, b"here"):
            pass


def test_an_idle_timeout_closes_who_says_nothing(carried):
    server = carried(echo("LinkspanIdleTimeout 2\nLinkspanPingInterval 200ms"))
    since = time.monotonic()
    with connect(server) as pinged:
        # Pings and pongs are no messages.
        with pytest.raises(Exception, match="1001"):
            pinged.recv(30)
    assert 1.9 < time.monotonic() - since < 20


def test_a_client_that_is_stopped_is_found_out(apache):
    server = apache(echo("LinkspanPingInterval 300ms\nLinkspanPongTimeout 1"))
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from websockets.sync.client import connect
socket = connect("ws://127.0.0.1:{server.port}/echo", proxy=None).__enter__()
print("open", flush=True)
sys.stdin.read()
"""
    client = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdout.readline() == "open\n"
        client.send_signal(signal.SIGSTOP)
        wait_for(lambda: "clean=no" in "".join(server.accesses()), 30, "nobody has found out")
    finally:
        client.kill()
        client.communicate()
