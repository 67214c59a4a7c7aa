"""The stand-alone server as a process: signals, exit status, the last words to open connections."""

import os
import signal
import threading
import time

from mod_pywebsocket import common, dispatch

# How long clients have to answer the close frame of a server that goes away, in seconds.
_GOING_AWAY_SECONDS = 1.0


class _Signal(BaseException):
    """A signal that ends the server."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def serve(options, die):
    """Serves until SIGINT or SIGTERM; ``die`` is called with one line when there is no server to be."""
    from mod_pywebsocket import standalone
    try:
        server = standalone.WebSocketServer(options)
    except (dispatch.DispatchException, OSError, LookupError, UnicodeError) as e:
        die(str(e))
    if options.port == 0:
        scheme = 'wss' if options.use_tls else 'ws'
        print('listening on %s://%s:%d/' % (scheme, server.server_name or 'localhost', server.server_port), flush=True)
    try:
        _listen_to_signals()
        server.serve_forever()
    except _Signal as e:
        server.server_close()
        _say_goodbye(server)
        # As the system would have ended it, so that whoever waits for this process sees the signal.
        signal.signal(e.number, signal.SIG_DFL)
        os.kill(os.getpid(), e.number)


def _listen_to_signals():
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(number, _):
        for number_ in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number_, signal.SIG_IGN)
        raise _Signal(number)

    # An embedder's own handlers stay.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)


def _say_goodbye(server):
    """Closes what is open with 1001, and gives the clients a moment to answer."""
    deadline = time.monotonic() + _GOING_AWAY_SECONDS
    requests = list(server._open_requests)
    threads = [threading.Thread(target=_close, args=(request,), daemon=True) for request in requests]
    for thread in threads:
        thread.start()
    while server._open_requests and time.monotonic() < deadline:
        time.sleep(0.01)


def _close(request):
    try:
        request.ws_stream.close_connection(common.STATUS_GOING_AWAY, '', wait_response=False)
    except Exception:
        # It is gone already, which is all that is wanted.
        pass
