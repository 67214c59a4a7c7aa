"""The stand-alone server as a process: signals, exit status, the last words to open connections."""

import logging
import os
import signal
import threading
import time

from mod_pywebsocket import _listening, common

# How long clients have to answer the close frame of a server that goes away, in seconds.
_GOING_AWAY_SECONDS = 1.0


class _Signal(BaseException):
    """A signal that ends the server."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def serve(options, die):
    """Serves until SIGINT or SIGTERM; ``die`` is called with one line when there is no server to be."""
    server = None
    try:
        _listen_to_signals()
        server = _server(options, die)
        if options.port == 0:
            print('listening on %s://%s:%d/' % ('wss' if options.use_tls else 'ws',
                                                server.server_name or 'localhost', server.server_port), flush=True)
        server.serve_forever()
    except _Signal as e:
        if server is not None:
            server.server_close()
            _say_goodbye(server)
        logging.shutdown()
        # As the system would have ended it, so that whoever waits for this process sees the signal.
        signal.signal(e.number, signal.SIG_DFL)
        os.kill(os.getpid(), e.number)


def _server(options, die):
    try:
        # First of all: clients may knock while the rest is imported and the handlers are read.
        options._listeners = _listeners(options)
        from mod_pywebsocket import standalone
        return standalone.WebSocketServer(options)
    except (OSError, LookupError, UnicodeError) as e:
        die(str(e))
    except Exception as e:
        # Its module is not imported yet when the listening fails.
        if type(e).__name__ != 'DispatchException':
            raise
        die(str(e))


def _listeners(options):
    logger = logging.getLogger('mod_pywebsocket.websocket_server.WebSocketServer')
    sockets = _listening.create(options.server_host, options.port, logger)
    port = _listening.bind(sockets, options.server_host, options.port, True, logger)
    _listening.listen(sockets, options.request_queue_size, options.server_host, port, logger)
    return sockets


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
    from mod_pywebsocket import stream
    deadline = time.monotonic() + _GOING_AWAY_SECONDS
    body = stream.create_closing_handshake_body(common.STATUS_GOING_AWAY, '')
    frame = stream.create_close_frame(body)
    for request in list(server._open_requests):
        if not request.server_terminated:
            request.server_terminated = True
            # A connection that cannot take it now would not take it later.
            channel = request.connection._channel
            if channel is not None:
                channel.offer(frame)
    while server._open_requests and time.monotonic() < deadline:
        time.sleep(0.005)
