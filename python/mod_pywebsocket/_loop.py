"""The thread on which ``async`` handlers run: one asyncio loop for all of them."""

import asyncio
import logging
import threading
from concurrent.futures import Future

from linkspan._linkspan import Arrivals


class Loop:
    """An asyncio loop on a daemon thread of its own."""

    def __init__(self):
        self.asyncio = asyncio.new_event_loop()
        # The connections that handlers receive from: the loop is told of all of them at once.
        self.arrivals = Arrivals(self.asyncio)
        self.asyncio.add_reader(self.arrivals.fileno(), self.arrivals.go_on)
        self._logger = logging.getLogger(__name__)
        self._tasks = set()
        self._is_ending = False
        # No more will be started; the thread ends with the last that runs.
        self.is_retired = False
        threading.Thread(target=self._serve, name='Handler-loop', daemon=True).start()

    def start(self, coroutine, name):
        """Runs a coroutine in a task of this name; any thread may call. Its outcome, for any thread to wait on."""
        outcome = Future()
        self.asyncio.call_soon_threadsafe(self._begin, coroutine, name, outcome)
        return outcome

    def run(self, coroutine, name):
        """Runs a coroutine while the calling thread, which is another, waits for what it gives or raises."""
        return self.start(coroutine, name).result()

    def is_current(self):
        """Whether the caller runs on this loop."""
        return asyncio._get_running_loop() is self.asyncio

    def cancel(self, seconds):
        """Cancels all tasks, and gives them so long to end; another thread calls. Whether they have."""
        is_over = threading.Event()

        def begin():
            self._is_ending = True
            tasks = [task for task in asyncio.all_tasks(self.asyncio) if not task.done()]
            for task in tasks:
                task.cancel()
            waiting = asyncio.gather(*tasks, return_exceptions=True) if tasks else self.asyncio.create_future()
            waiting.add_done_callback(lambda _: is_over.set())
            if not tasks:
                waiting.set_result(None)

        try:
            self.asyncio.call_soon_threadsafe(begin)
        except RuntimeError:
            # It has ended already.
            return True
        return is_over.wait(seconds)

    def retire(self):
        """Ends the thread when the last task has ended."""
        self.is_retired = True
        try:
            self.asyncio.call_soon_threadsafe(self._end_if_idle)
        except RuntimeError:
            pass

    def _begin(self, coroutine, name, outcome):
        task = self.asyncio.create_task(self._settle(coroutine, outcome), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    async def _settle(self, coroutine, outcome):
        """Awaits a coroutine; whatever it raises is its outcome, and never the loop's."""
        try:
            result = await coroutine
        except BaseException as e:
            if self._is_ending and isinstance(e, asyncio.CancelledError):
                outcome.set_result(None)
            else:
                outcome.set_exception(e)
            # A traceback is not to keep alive what its own frame names.
            del outcome
        else:
            outcome.set_result(result)

    def _end(self, task):
        self._tasks.discard(task)
        self._end_if_idle()

    def _end_if_idle(self):
        if self.is_retired and not self._tasks:
            self.asyncio.stop()

    def _serve(self):
        asyncio.set_event_loop(self.asyncio)
        while True:
            try:
                self.asyncio.run_forever()
                break
            except BaseException:
                # SystemExit and the like, of a task that a handler has made; the others go on.
                self._logger.exception('A task of a handler ended with')
        self.asyncio.close()
