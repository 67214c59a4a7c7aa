"""Threads for handlers: as many as there are open connections, and used again."""

import threading

# How long a thread without work stays, in seconds.
_IDLE_SECONDS = 10.0


class Workers:
    """Daemon threads that take connections from a front. One at least is always waiting for the next."""

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

    def start(self):
        """Starts one more thread."""
        with self._lock:
            self._idle += 1
            self._count += 1
            number = self._count
        thread = threading.Thread(target=self._work, name='Handler-%d' % number, daemon=True)
        before = threading.stack_size(self._stack_bytes)
        try:
            thread.start()
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
                is_last = False
                if channel is not None:
                    self._idle -= 1
                    is_last = self._idle == 0
            if channel is None:
                if self._front.is_closed():
                    return
                continue
            if is_last:
                self.start()
            # What is no Exception, SystemExit and the like, ends this thread; another waits already.
            # As on a thread of its own, it does not see what hooks of another have set.
            Context().run(self._serve, channel)
            del channel
            with self._lock:
                self._idle += 1
