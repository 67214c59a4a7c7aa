"""Pings for silent peers, and an end for dead and for idle ones. A thread that only these options start.

Nothing is done per message: connections count what passes, and the thread compares.
"""

import logging
import threading
import time

from mod_pywebsocket import common, stream

# Fewer bytes than these are pings and pongs, not part of a message.
_PART_BYTES = 1024
# So much unread: it is the handler that does not read, and a pong would wait behind it.
_MANY_UNREAD_BYTES = 16384


class Keepalive:
    """Looks at a server's open connections again and again."""

    def __init__(self, server, ping_interval, idle_timeout, close_timeout):
        """Seconds all; 0 is never. A peer that a ping finds silent is dead after as long again."""
        self._server = server
        self._ping_interval = ping_interval
        self._idle_timeout = idle_timeout
        self._close_timeout = close_timeout
        self._ping = stream.create_ping_frame(stream._KEEPALIVE)
        self._lines = {}
        self._end = threading.Event()
        self._logger = logging.getLogger(__name__)
        threading.Thread(target=self._work, name='Keepalive', daemon=True).start()

    def stop(self):
        """Ends the thread when no connection is open."""
        self._end.set()

    def _work(self):
        tick = min(min(seconds for seconds in (self._ping_interval, self._idle_timeout) if seconds) / 4, 5)
        while not (self._end.is_set() and not self._server._open_requests):
            time.sleep(tick)
            now = time.monotonic()
            lines = self._lines
            self._lines = {}
            for request in self._server._open_requests.copy():
                line = self._lines[request] = lines.get(request) or _Line(request, now)
                try:
                    self._look_at(line, now)
                except OSError:
                    # It has ended meanwhile.
                    pass

    def _look_at(self, line, now):
        line.look(now)
        if line.end_at is not None:
            if now >= line.end_at:
                line.raw.shutdown(2)
            return
        if self._idle_timeout and now - line.active_at >= self._idle_timeout and not line.request.server_terminated:
            self._say_goodbye(line, now)
            return
        if not self._ping_interval:
            return
        if line.pinged_at is None:
            if now - line.heard_at >= self._ping_interval:
                line.pinged_at = now
                line.has_ping = line.raw.offer(self._ping)
        elif now - line.pinged_at >= self._ping_interval:
            self._say(line, 'ended: no answer to a ping in %g s', self._ping_interval)
            line.end_at = now
            line.raw.shutdown(2)
        elif not line.has_ping:
            line.has_ping = line.raw.offer(self._ping)

    def _say_goodbye(self, line, now):
        reason = 'no message for %g s' % self._idle_timeout
        self._say(line, 'closed: %s', reason)
        line.request.server_terminated = True
        line.request._sent_close_code = common.STATUS_GOING_AWAY
        body = stream.create_closing_handshake_body(common.STATUS_GOING_AWAY, reason)
        has_gone = line.raw.offer(stream.create_close_frame(body))
        # Who takes nothing would not take it later.
        line.end_at = now + (self._close_timeout or self._idle_timeout) if has_gone else now

    def _say(self, line, text, *values):
        self._logger.info('%r ' + text, line.request.connection.remote_addr, *values,
                          extra={'connection': getattr(line.request, '_connection_number', None)})


class _Line:
    """What was seen of one connection."""

    def __init__(self, request, now):
        self.request = request
        self.raw = request.connection._line
        self.heard_at = self.active_at = now
        # When it was pinged without having been heard since; whether that ping could leave.
        self.pinged_at = None
        self.has_ping = True
        # When it ends, whatever it does.
        self.end_at = None
        self._unread = 0
        self._heard = self._active = self.raw.traffic()

    def look(self, now):
        traffic = self.raw.traffic()
        unread = self.raw.unread()
        if (traffic[0] != self._heard[0] or unread != self._unread or unread >= _MANY_UNREAD_BYTES
                # A slow reader takes little by little, and cannot be pinged inside of a message.
                or not self.has_ping and traffic[1] != self._heard[1]):
            self.heard_at = now
            self.pinged_at = None
        self._heard, self._unread = traffic, unread
        if traffic[2::2] != self._active[2::2] or any(
                traffic[way] - self._active[way] >= _PART_BYTES for way in (0, 1)):
            self.active_at = now
            self._active = traffic
