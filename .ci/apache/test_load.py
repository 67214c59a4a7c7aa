"""Many sockets after each other, one that does not read, and one that ends with its request."""

import os
import socket
import threading
import time
import urllib.request

import pytest

from client import BINARY, HEAD, TEXT, Raw, closed_with, connect, frame
from conftest import WAYS, echo
from httpd import wait_for

ONE_CHILD = "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxSpareThreads 25\n"


def resident(process):
    """Kilobytes in memory."""
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def descriptors(process):
    return len(os.listdir(f"/proc/{process}/fd"))


def churn(server, rounds, tls=False):
    for _ in range(rounds):
        with Raw(server, tls=tls) as raw:
            raw.send(frame(TEXT, b"hello"))
            assert raw.receive() == (TEXT, b"hello")
            # Gone without a word.


def together(server, rounds):
    threads = [threading.Thread(target=churn, args=[server, rounds]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("way", ["suspend", "detach", "worker"])
def test_thirty_thousand_that_come_and_go_leave_nothing(apache, way):
    mpm, option = WAYS[way]
    server = apache(f"{ONE_CHILD}AsyncRequestWorkerFactor 400\n{option}\nLoadModule status_module "
                    "/usr/lib/apache2/modules/mod_status.so\nExtendedStatus On\n<Location /status>\n"
                    "SetHandler server-status\n</Location>\n" + echo() if mpm == "event" else
                    f"{ONE_CHILD}{option}\n" + echo(), mpm=mpm)
    child, = server.children()
    together(server, 4000)
    wait_for(lambda: descriptors(child) < 60, 30, "descriptors are left")
    before = resident(child), descriptors(child)
    together(server, 10000)
    wait_for(lambda: descriptors(child) <= before[1] + 3, 30, "descriptors are left")
    assert resident(child) - before[0] < 4000
    if mpm == "event":
        def counted(*names):
            page = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/status?auto", timeout=30).read().decode()
            fields = dict(line.split(": ", 1) for line in page.splitlines() if ": " in line)
            return [int(fields[name]) for name in names]
        # The page is a little late; the one that asks may be counted.
        wait_for(lambda: counted("ConnsTotal")[0] <= 1, 30, "connections are left in Apache's books")
        assert counted("ConnsAsyncClosing", "ConnsAsyncKeepAlive", "ConnsAsyncWriting") == [0, 0, 0]


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_who_does_not_read_keeps_nobody_waiting(way, tls):
    with Raw(way, tls=tls, receive_buffer=4096) as slow, connect(way, tls=tls, compression=None) as quick:
        slow.socket.settimeout(2)
        sent = 0
        try:
            for _ in range(24):
                slow.send(frame(BINARY, b"x" * 500000, mask=b"\0\0\0\0"))
                sent += 1
        except (TimeoutError, OSError):
            pass  # it is not read any more, for it does not read
        times = []
        for i in range(50):
            since = time.monotonic()
            quick.send(str(i))
            assert quick.recv(30) == str(i)
            times.append(time.monotonic() - since)
        assert sorted(times)[25] < 0.1, times
        if not tls:
            slow.socket.settimeout(60)
            for _ in range(sent):
                assert slow.receive() == (BINARY, b"x" * 500000)  # and no ping: that would come after 30 s


def test_above_the_queue_a_slow_reader_is_closed(carried):
    server = carried(echo("LinkspanMaxQueue 64K\nLinkspanMaxMessageSize 200K"))
    with Raw(server) as raw:
        raw.send(frame(BINARY, b"x" * 150000))
        assert closed_with(raw) == 1013


def test_above_the_queue_a_topics_slow_subscriber_goes(apache):
    server = apache(ONE_CHILD + "<Location /room>\nSetHandler linkspan\nLinkspanHandler topic room\n"
                    "LinkspanMaxQueue 256K\n</Location>\n")
    with Raw(server, "/room", receive_buffer=4096) as slow, connect(server, "/room") as quick:
        for _ in range(200):
            quick.send(b"x" * 100000)
            assert len(quick.recv(30)) == 100000
        wait_for(lambda: "slow" in server.errors() or "too slowly" in server.errors(), 30, "nobody was ended")
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                slow.receive()


@pytest.mark.parametrize("behind", [b"", frame(TEXT, b"early")], ids=["nothing", "a message"])
def test_an_end_right_behind_the_request_is_seen(way, behind):
    with Raw(way, send=False) as raw:
        raw.send(HEAD.format(path="/echo", port=way.port, more="").encode() + behind)
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.read_head().startswith("HTTP/1.1 101 ")
        if behind:
            assert raw.receive() == (TEXT, b"early")
        assert raw.is_at_end()
