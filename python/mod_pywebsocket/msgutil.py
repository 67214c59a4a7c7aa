"""Messages by request instead of by stream, and threads that receive or send for a handler.

With a :class:`MessageReceiver` a handler can do something else until a message comes::

    def web_socket_transfer_data(request):
        receiver = msgutil.MessageReceiver(request)
        while not request.client_terminated:
            message = receiver.receive_nowait()
            msgutil.send_message(request, 'nothing new' if message is None else 'new: ' + message)
            time.sleep(1)

Of an ``async`` handler's request, these functions give what is to be awaited.
"""

import queue
import threading

from mod_pywebsocket._stream_exceptions import (
    BadOperationException,
    ConnectionTerminatedException,
    InvalidFrameException,
    UnsupportedFrameException,
)

__all__ = [
    'BadOperationException',
    'ConnectionTerminatedException',
    'InvalidFrameException',
    'MessageReceiver',
    'MessageSender',
    'UnsupportedFrameException',
    'close_connection',
    'receive_message',
    'send_message',
    'send_ping',
]


def close_connection(request):
    """Closes with 1000 and waits for the peer's answer; see ``Stream.close_connection``."""
    return request.ws_stream.close_connection()


def send_message(request, payload_data, end=True, binary=False):
    """Sends a message or a fragment of one; see ``Stream.send_message``."""
    return request.ws_stream.send_message(payload_data, end, binary)


def receive_message(request):
    """Waits for a message: ``str``, ``bytes``, or ``None`` on close; see ``Stream.receive_message``."""
    return request.ws_stream.receive_message()


def send_ping(request, body):
    """Sends a ping; see ``Stream.send_ping``."""
    return request.ws_stream.send_ping(body)


class MessageReceiver(threading.Thread):
    """A daemon thread that receives. It starts at once.

    Each message, and ``None`` when the peer closes, is handed to ``onmessage``, or without one waits for
    :meth:`receive` and :meth:`receive_nowait`. In the end the thread closes the connection.
    """

    def __init__(self, request, onmessage=None):
        threading.Thread.__init__(self, daemon=True)
        self._request = request
        self._queue = queue.Queue()
        self._onmessage = onmessage
        self._stop_requested = False
        self.start()

    def run(self):
        """The thread's work."""
        try:
            while not self._stop_requested:
                message = receive_message(self._request)
                if self._onmessage:
                    self._onmessage(message)
                else:
                    self._queue.put(message)
        finally:
            close_connection(self._request)

    def receive(self):
        """Waits for the next message."""
        return self._queue.get()

    def receive_nowait(self):
        """The next message that has come already, or ``None``."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def stop(self):
        """Ends the thread after the message that it waits for."""
        self._stop_requested = True


class MessageSender(threading.Thread):
    """A daemon thread that sends texts. It starts at once."""

    def __init__(self, request):
        threading.Thread.__init__(self, daemon=True)
        self._request = request
        self._queue = queue.Queue()
        # Why the thread has ended, once it has.
        self._failure = None
        self.start()

    def run(self):
        """The thread's work."""
        written = None
        try:
            while True:
                message, written = self._queue.get()
                send_message(self._request, message)
                if written is not None:
                    written.set()
        except BaseException as e:
            self._failure = e
            raise
        finally:
            # Nobody may wait for a thread that is no more.
            while True:
                if written is not None:
                    written.set()
                try:
                    _, written = self._queue.get_nowait()
                except queue.Empty:
                    break

    def send(self, message):
        """Sends and waits until it is written. Raises what ended the thread, if it has ended."""
        written = threading.Event()
        self._queue.put((message, written))
        while not written.wait(0.1):
            if not self.is_alive():
                break
        if self._failure is not None:
            raise self._failure

    def send_nowait(self, message):
        """Queues a message."""
        self._queue.put((message, None))
