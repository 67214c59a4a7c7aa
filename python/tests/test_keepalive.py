"""Who is taken for silent, dead or idle, by the numbers of his connection alone."""

import threading
import time

import pytest
from conftest import PATIENCE

from mod_pywebsocket import _keepalive

LOOKS = 30


class Line:
    """A connection whose numbers grow by ``steps`` with each look. Notes what its server does to it."""

    def __init__(self, steps=(0,) * 6, takes=()):
        self._steps = steps
        self._numbers = [0] * 6
        # Whether each of the next frames can leave; the last for all that follow.
        self._takes = list(takes) or [True]
        self.looks = 0
        self.events = []
        # It has ended, or been looked at often enough.
        self.is_over = threading.Event()

    def traffic(self):
        self.looks += 1
        self._numbers = [sum(pair) for pair in zip(self._numbers, self._steps)]
        if self.looks == LOOKS:
            self.is_over.set()
        return tuple(self._numbers)

    def unread(self):
        return 0

    def offer(self, frame):
        takes = self._takes.pop(0) if len(self._takes) > 1 else self._takes[0]
        self._note((frame[0], takes))
        return takes

    def shutdown(self, _):
        self._note('end')
        self.is_over.set()

    def _note(self, event):
        if not self.is_over.is_set():
            self.events.append(event)


class Request:
    server_terminated = False

    def __init__(self, line):
        self.connection = self
        self.remote_addr = ('test', 1)
        self._line = line


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self._now = 1000

    def monotonic(self):
        return self._now

    def sleep(self, seconds):
        self._now += seconds
        time.sleep(0)


@pytest.fixture
def watched(monkeypatch):
    """``watched(line, ping_interval, idle_timeout)``: the line's events when it is over."""
    servers = []
    monkeypatch.setattr(_keepalive, 'time', Clock())

    def watch(line, ping_interval=0, idle_timeout=0):
        class Server:
            _open_requests = {Request(line)}

        servers.append((Server, _keepalive.Keepalive(Server, ping_interval, idle_timeout, 0)))
        assert line.is_over.wait(PATIENCE)
        return line.events

    yield watch
    for server, keepalive in servers:
        keepalive.stop()
        server._open_requests = set()


# Four looks are one interval: LOOKS are enough for all that may happen.
SECONDS = 1


@pytest.mark.parametrize('steps', [(0, 0, 1, 0, 0, 0), (0, 0, 0, 0, 1, 0), (1024, 0, 0, 0, 0, 0), (0, 1024, 0, 0, 0, 0)],
                         ids=['received', 'sent', 'a part received', 'a part sent'])
def test_who_talks_is_not_idle(watched, steps):
    assert watched(Line(steps), idle_timeout=SECONDS) == []


def test_pings_and_pongs_are_no_talk(watched):
    assert watched(Line((11, 15, 0, 0, 0, 0)), idle_timeout=SECONDS)[0] == (0x88, True)


def test_who_has_no_room_for_a_goodbye_ends_at_once(watched):
    assert watched(Line(takes=[False]), idle_timeout=SECONDS) == [(0x88, False), 'end']


def test_a_slow_reader_is_not_dead(watched):
    # In the middle of a message nothing else can be sent, and what he takes of it shows that he is there.
    assert set(watched(Line((0, 1, 0, 0, 0, 0), takes=[False]), ping_interval=SECONDS)) == {(0x89, False)}


def test_who_takes_nothing_is_dead(watched):
    assert watched(Line(takes=[False]), ping_interval=SECONDS) == [(0x89, False)] * 4 + ['end']


def test_a_ping_that_could_not_leave_is_tried_again(watched):
    assert watched(Line(takes=[False, False, True]), ping_interval=SECONDS) == [
        (0x89, False), (0x89, False), (0x89, True), 'end']
