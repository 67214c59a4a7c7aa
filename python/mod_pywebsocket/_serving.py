"""The stand-alone server as a process: signals, exit status, the last words to open connections."""

import os
import signal
import sys

from mod_pywebsocket import _listening

# How long clients have to answer the close frame of a server that goes away, in seconds.
_GOING_AWAY_SECONDS = 1.0
# How long async handlers that have not ended by then may take to clean up.
_CANCELLED_SECONDS = 3.0


class _Signal(BaseException):
    """The first signal that ends the server; the second ends the process at once."""


class _Signals:
    """SIGINT and SIGTERM, unless whoever runs us has handlers of their own for them."""

    def __init__(self):
        # Which one has come.
        self.number = None
        self.server = None

    def listen(self):
        """From now on the first of them raises :class:`_Signal` in the main thread."""
        try:
            for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is default:
                    signal.signal(number, self._stop)
        except ValueError:
            # Signals are for the main thread, and this is another.
            pass

    def check(self):
        """Raises what had to wait, or what a handler file has caught while it was read."""
        if self.number is not None:
            raise _Signal

    def end(self):
        """Ends the process as the system would have, so that whoever waits for it sees the signal."""
        import atexit

        # There will be no other chance for them: the log's last lines are written by one.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass
        os.kill(os.getpid(), self.number)

    def _stop(self, number, _):
        self.number = number
        for number_ in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number_) == self._stop:
                signal.signal(number_, signal.SIG_DFL)
        if self.server is not None and self.server._is_accepting:
            # That connection would be lost.
            self.server._shutdown_wanted = True
        else:
            raise _Signal


def serve(prepare, die, says_where=False):
    """Serves as the options say that ``prepare()`` gives, until SIGINT or SIGTERM.

    ``die`` is called with one line, and perhaps the options, when there is no server to be. ``says_where`` prints where
    it listens for a port that was named, too.
    """
    signals = _Signals()
    server = None
    try:
        signals.listen()
        options = prepare()
        server = signals.server = _server(options, die)
        signals.check()
        if options.listen_fd is None and (options.port == 0 or says_where):
            print('listening on %s://%s:%d/' % ('wss' if options.use_tls else 'ws',
                                                server.server_name or 'localhost', server.server_port), flush=True)
        if options.metrics == 0:
            print('metrics on http://127.0.0.1:%d/metrics' % server._metrics_port, flush=True)
        server.serve_forever()
        signals.check()
    except _Signal:
        if server is not None:
            server.server_close()
            _say_goodbye(server)
        signals.end()


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
    if not os.path.isdir(options.scan_dir):
        logging.warning('%s is no directory, so there are no handlers; --websock-handlers names theirs',
                        options.scan_dir)
    if options.thread_monitor_interval_in_sec > 0:
        server_util.ThreadMonitor(options.thread_monitor_interval_in_sec).start()
    try:
        return standalone.WebSocketServer(options)
    except OSError as e:
        # With a name it is a handler or the map file.
        die('cannot read %s: %s' % (e.filename, e.strerror) if e.filename else str(e), options)
    except (dispatch.DispatchException, LookupError, UnicodeError) as e:
        die(str(e), options)


def _warn_of_the_original(logging):
    """Two distributions with packages of one name overwrite each other's files, or hide them."""
    for directory in sys.path:
        try:
            names = os.listdir(directory or '.')
        except OSError:
            continue
        for name in names:
            original = name.partition('-')[0]
            if original in ('pywebsocket3', 'mod_pywebsocket') and name.endswith(('.dist-info', '.egg-info')):
                logging.warning(
                    '%s is installed beside linkspan, in %s, and both have a package of that name; remove it by '
                    '"%s -m pip uninstall %s" and then repair this one by "%s -m pip install --force-reinstall '
                    'linkspan"', original, directory or os.getcwd(), sys.executable, original, sys.executable)
                return


def _listeners(options, say):
    if options.listen_fd is not None:
        return _listening.inherit(options.listen_fd)
    sockets = _listening.create(options.server_host, options.port, say)
    port = _listening.bind(sockets, options.server_host, options.port, True, say)
    _listening.listen(sockets, options.request_queue_size, options.server_host, port, say)
    return sockets


def _say_goodbye(server):
    """Closes what is open with 1001, and gives the clients a moment to answer."""
    import time

    from mod_pywebsocket import common, stream
    deadline = time.monotonic() + _GOING_AWAY_SECONDS
    frame = stream.create_close_frame(stream.create_closing_handshake_body(common.STATUS_GOING_AWAY, ''))
    known = set()
    while server._open_requests and time.monotonic() < deadline:
        for request in server._open_requests.copy():
            if request not in known:
                known.add(request)
                if not request.server_terminated:
                    request.server_terminated = True
                    request._sent_close_code = common.STATUS_GOING_AWAY
                    request._goodbye = frame
            request._send_goodbye()
        time.sleep(0.005)
    loop = getattr(server.websocket_server_options.dispatcher, '_loop', None)
    if loop is not None:
        loop.cancel(_CANCELLED_SECONDS)
