"""Threads for handlers: as many as there are open connections, and used again."""

import logging
import threading
import time

# How long a thread without work stays, in seconds.
_IDLE_SECONDS = 10.0


class Workers:
    """Daemon threads that take connections from a front. One at least is always waiting for the next.

    A thread that has a connection keeps the stack that it has ever touched, so it does little else: the owner of this
    object starts the next thread, in :meth:`keep_one_waiting`.
    """

    def __init__(self, front, serve, stack_bytes):
        """``serve(channel)`` is called on a thread of its own for each connection."""
        self._front = front
        self._serve = serve
        self._stack_bytes = stack_bytes
        # Guards the two numbers.
        self._lock = threading.Lock()
        # Threads that wait, or are about to.
        self._idle = 0
        # Threads that were ever started, for their names.
        self._count = 0
        # Set when there are none.
        self._is_wanted = threading.Event()
        self._is_wanted.set()
        self._logger = logging.getLogger(__name__)

    def keep_one_waiting(self, timeout):
        """Starts one more thread as soon as none is waiting; returns then, or after ``timeout`` seconds."""
        if self._is_wanted.wait(timeout) and not self._start():
            time.sleep(timeout)

    def _start(self):
        with self._lock:
            self._is_wanted.clear()
            if self._idle > 0:
                return True
            self._idle += 1
            self._count += 1
            number = self._count
        thread = _Thread(self._work, 'Handler-%d' % number)
        before = threading.stack_size(self._stack_bytes)
        try:
            thread.start()
            return True
        except RuntimeError as e:
            # The next connection waits for a thread that has done with its own, or for the next attempt.
            self._logger.error('no thread for one more connection: %s', e)
            with self._lock:
                self._idle -= 1
                self._is_wanted.set()
            return False
        finally:
            threading.stack_size(before)

    def _work(self):
        # Not needed until it listens.
        from contextvars import Context
        while True:
            channel = self._front.accept(_IDLE_SECONDS)
            with self._lock:
                if channel is None and self._idle > 1:
                    self._idle -= 1
                    return
                if channel is not None:
                    self._idle -= 1
                    if self._idle == 0:
                        self._is_wanted.set()
            if channel is None:
                if self._front.is_closed():
                    return
                continue
            # What is no Exception, SystemExit and the like, ends this thread; another waits already.
            # As on a thread of its own, it does not see what hooks of another have set.
            Context().run(self._serve, channel)
            del channel
            with self._lock:
                self._idle += 1


class _Thread(threading.Thread):
    """A thread that calls its work without a step through C, which takes stack."""

    def __init__(self, work, name):
        super().__init__(name=name, daemon=True)
        self._work = work

    def run(self):
        self._work()
