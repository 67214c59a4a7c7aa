"""The stand-alone server as a process: signals, exit status, the last words to open connections."""

import os
import signal
import sys

from mod_pywebsocket import _listening

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
        if 'logging' in sys.modules:
            sys.modules['logging'].shutdown()
        # As the system would have ended it, so that whoever waits for this process sees the signal.
        signal.signal(e.number, signal.SIG_DFL)
        os.kill(os.getpid(), e.number)


def _server(options, die):
    notes = []
    try:
        # First of all: clients may knock while the rest is imported and the handlers are read.
        options._listeners = _listeners(options, lambda *note: notes.append(note))
    except OSError as e:
        die(str(e), options)

    import logging

    from mod_pywebsocket import dispatch, server_util, standalone
    try:
        server_util.configure_logging(options)
    except OSError as e:
        die('cannot write the log file %s: %s' % (options.log_file, e.strerror))
    for note in notes:
        logging.info(*note)
    _warn_of_the_original(logging)
    for name, is_set in (('--tls-module', options.tls_module), ('--allow-draft75', options.allow_draft75),
                         ('--strict', options.strict)):
        if is_set:
            logging.warning('%s is obsolete and has no effect', name)
    if options.thread_monitor_interval_in_sec > 0:
        server_util.ThreadMonitor(options.thread_monitor_interval_in_sec).start()
    try:
        return standalone.WebSocketServer(options)
    except (dispatch.DispatchException, OSError, LookupError, UnicodeError) as e:
        die(str(e), options)


def _warn_of_the_original(logging):
    """Two distributions with a package of one name overwrite each other's files."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if any(name.startswith('pywebsocket3-') and name.endswith(('.dist-info', '.egg-info')) for name in os.listdir(site)):
        logging.warning('pywebsocket3 is installed beside linkspan, which has a package of that name itself; remove '
                        'one by "pip uninstall pywebsocket3" and then "pip install --force-reinstall linkspan"')


def _listeners(options, say):
    sockets = _listening.create(options.server_host, options.port, say)
    port = _listening.bind(sockets, options.server_host, options.port, True, say)
    _listening.listen(sockets, options.request_queue_size, options.server_host, port, say)
    return sockets


def _listen_to_signals():
    def stop(number, _):
        for number_ in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number_, signal.SIG_IGN)
        raise _Signal(number)

    # Whoever calls us may have handlers of their own, which stay.
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, stop)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Signals are for the main thread, and this is another.
        pass


def _say_goodbye(server):
    """Closes what is open with 1001, and gives the clients a moment to answer."""
    import time

    from mod_pywebsocket import common, stream
    deadline = time.monotonic() + _GOING_AWAY_SECONDS
    body = stream.create_closing_handshake_body(common.STATUS_GOING_AWAY, '')
    frame = stream.create_close_frame(body)
    for request in list(server._open_requests):
        if not request.server_terminated:
            request.server_terminated = True
            # A connection that cannot take it now would not take it later.
            channel = getattr(request.connection, '_channel', None)
            if channel is not None:
                channel.offer(frame)
    while server._open_requests and time.monotonic() < deadline:
        time.sleep(0.005)
