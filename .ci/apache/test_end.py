"""The end of a child: restart, stop, one child too many. Every socket is closed with 1001, and the child goes."""

import signal
import time

import pytest

from client import Raw, ask, closed_with, closing
from conftest import WAYS, echo
from httpd import wait_for

# How many sockets, and the room for them: all in one child, or a child for each.
THREADS = "StartServers 1\nServerLimit 2\nThreadLimit 600\nThreadsPerChild 600\nMaxRequestWorkers 1200\n" \
          "MaxSpareThreads 1200\nMinSpareThreads 1\n"
PROCESSES = "StartServers 60\nMinSpareServers 1\nMaxSpareServers 60\nServerLimit 120\nMaxRequestWorkers 120\n"


SIGNALS = ["SIGUSR1", "SIGWINCH", "SIGTERM"]
# At SIGTERM Apache closes the streams of its threaded workers itself, before it tells any module.
CUT = [("sync", "SIGTERM"), ("worker", "SIGTERM")]


def room(way):
    mpm, option = WAYS[way]
    return {"options": f"{option}\n{PROCESSES if mpm == 'prefork' else THREADS}" + echo(), "mpm": mpm}


def has_gone(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def sockets(server, count, tls):
    opened = []
    for _ in range(count):
        opened.append(Raw(server, tls=tls))
    return opened


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("way, signal_name", [(way, name) for way in WAYS for name in SIGNALS if (way, name) not in CUT])
def test_every_client_is_told_and_the_child_goes(apache, way, signal_name, tls):
    server = apache(**room(way))
    opened = sockets(server, 40 if way == "prefork" or tls else 500, tls)
    old = server.children()
    since = time.monotonic()
    server.signal(getattr(signal, signal_name))
    for raw in opened:
        assert closed_with(raw) == 1001
        raw.send(closing(1001))
    for raw in opened:
        assert raw.is_at_end()
        raw.close()
    told = time.monotonic() - since
    wait_for(lambda: all(map(has_gone, old)), 20, "an old child is still there")
    assert time.monotonic() - since < 3 + told
    if signal_name == "SIGUSR1":
        assert ask(server, "/index.html")[0] == 200
        with Raw(server) as raw:
            raw.send(closing(1000))
            assert closed_with(raw) == 1000


@pytest.mark.parametrize("way, signal_name", CUT)
def test_where_apache_cuts_the_streams_the_child_goes_all_the_same(configured, way, signal_name):
    server = configured(**room(way)).start()
    opened = sockets(server, 500, False)
    old = server.children()
    since = time.monotonic()
    server.signal(getattr(signal, signal_name))
    for raw in opened:
        assert raw.is_at_end()
        raw.close()
    wait_for(lambda: all(map(has_gone, old)), 20, "an old child is still there")
    assert time.monotonic() - since < 6
    server.stop()


@pytest.mark.parametrize("way", ["suspend", "detach"])
def test_a_client_that_does_not_answer_holds_no_child(apache, way):
    server = apache(f"{WAYS[way][1]}\nLinkspanGracefulTimeout 1\n{THREADS}" + echo())
    with Raw(server) as raw:
        old = server.children()
        since = time.monotonic()
        server.signal(signal.SIGUSR1)
        wait_for(lambda: all(map(has_gone, old)), 20, "an old child is still there")
        assert time.monotonic() - since < 10
        assert closed_with(raw) == 1001


def test_a_culled_child_tells_its_clients(apache):
    server = apache("StartServers 6\nServerLimit 6\nThreadsPerChild 25\nMaxRequestWorkers 150\nMinSpareThreads 25\n"
                    "MaxSpareThreads 50\n" + echo())
    opened = sockets(server, 100, False)
    # The server ends idle children, one in a second, until no more than two or three are left.
    for raw in opened:
        raw.socket.settimeout(0.001)
    told = set()
    end = time.monotonic() + 60
    while len(server.children()) > 3:
        assert time.monotonic() < end, "no child is ended"
        for raw in set(opened) - told:
            try:
                if closed_with(raw) == 1001:
                    raw.send(closing(1001))
                    told.add(raw)
            except TimeoutError:
                pass
    wait_for(lambda: len(server.children()) <= 3, 20, "the children stay")
    for raw in opened:
        raw.close()
    assert told
    assert ask(server, "/index.html")[0] == 200
