"""The access log: one line for each socket, when it was asked for, with what went through."""

import re
import time

import pytest

from client import TEXT, Raw, closed_with, closing, frame
from conftest import WAYS, echo
from httpd import wait_for

LINE = re.compile(r"GET /echo 101 (?P<X>\S) (?P<D>\d+) (?P<I>\d+) (?P<O>\d+) (?P<B>\d+) in=(?P<in>\S+) out=(?P<out>\S+) "
                  r"code=(?P<code>\S+) clean=(?P<clean>\S+)")


def lines(server, count):
    wait_for(lambda: len(server.accesses()) >= count, 30, "no line in the access log")
    return [LINE.fullmatch(line) for line in server.accesses()]


def talk(server, tls=False):
    """Says hello, waits a little, says goodbye; gives the bytes of the request, and of the answer."""
    with Raw(server, tls=tls) as raw:
        raw.send(frame(TEXT, b"hello"))
        assert raw.receive() == (TEXT, b"hello")
        time.sleep(0.3)  # what %D is about
        raw.send(closing(1000))
        assert closed_with(raw) == 1000
        assert raw.is_at_end()
        return len(raw.head) + 4


def test_one_line_at_the_end_tells_all(carried):
    server = carried(echo())
    if server.way == "detach":
        # It has left Apache when it ends: its line is written at once, as an aborted one.
        with Raw(server):
            line, = lines(server, 1)
        assert line["X"] == "X" and int(line["D"]) < 3e5 and line["in"] == "-/-"
        return
    answer = talk(server)
    line, = lines(server, 1)
    assert int(line["D"]) >= 3e5
    assert line["in"] == line["out"] == "1/5" and line["code"] == "1000" and line["clean"] == "yes"
    frames = 2 + 5 + 2 + 2
    assert int(line["B"]) == frames
    assert int(line["O"]) == answer + frames
    read = (6 + 5) + (6 + 2)
    with Raw(server) as raw:
        raw.socket.close()
    other = lines(server, 2)[1]
    # The same request without the two frames.
    assert int(line["I"]) - int(other["I"]) == read
    assert other["code"] == "1006" and other["clean"] == "no"


def test_a_line_for_wss_too(carried):
    server = carried(echo())
    talk(server, tls=True)
    line, = lines(server, 1)
    assert line["in"] == "1/5" and int(line["D"]) >= 3e5 and int(line["B"]) == 11
    # With TLS's own bytes.
    assert int(line["O"]) > 500


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_one_line_at_the_upgrade(carried, tls):
    server = carried(echo("LinkspanAccessLog upgrade"))
    with Raw(server, tls=tls) as raw:
        line, = lines(server, 1)
        assert int(line["D"]) < 3e5 or tls
        raw.send(frame(TEXT, b"after"))
        assert raw.receive() == (TEXT, b"after")
        raw.send(closing(1000))
        assert closed_with(raw) == 1000
    talk(server, tls)
    # The second socket's first line came after anything that the first could still have written.
    assert len(lines(server, 2)) == 2


@pytest.mark.parametrize("way", [way for way in WAYS if way != "detach"])
def test_a_line_at_each_end(apache, way):
    mpm, option = WAYS[way]
    server = apache(option + "\n" + echo("LinkspanAccessLog both"), mpm=mpm)
    with Raw(server) as raw:
        first, = lines(server, 1)
        assert first["code"] == "-"
        raw.send(closing(1000))
        assert closed_with(raw) == 1000
    assert lines(server, 2)[1]["code"] == "1000"
