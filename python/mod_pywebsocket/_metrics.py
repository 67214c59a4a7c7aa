"""What a server has counted, as OpenMetrics text for those on the same machine."""

import socketserver
import threading
from http.server import BaseHTTPRequestHandler

from linkspan import _linkspan

_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
# Single close codes, and ranges of them.
_CODES = ('1000', '1001', '1002', '1003', '1005', '1006', '1007', '1008', '1009', '1010', '1011', '1012', '1013',
          '1014', '1015', '3xxx', '4xxx', 'other')
_FAMILIES = (
    ('connections', 'gauge', '', 'Connections whose request has come and that have not ended'),
    ('accepted', 'counter', '', 'Connections whose request has come'),
    ('opened', 'counter', '', 'WebSockets that have opened'),
    ('handlers_running', 'gauge', '', 'Handlers that have a WebSocket now'),
    ('received_messages', 'counter', '', 'Messages that were received whole'),
    ('received_bytes', 'counter', 'bytes', 'Payload of messages received, as the application sees it'),
    ('sent_messages', 'counter', '', 'Messages that were sent'),
    ('sent_bytes', 'counter', 'bytes', 'Payload of messages sent, as the application gave it'),
    ('gil_waits', 'counter', '', 'Times that a thread came back from native code to Python'),
    ('gil_wait_seconds', 'counter', 'seconds', 'Time for which those threads waited for the interpreter'),
)


class Metrics:
    """Counts what connections do, and answers ``GET /metrics`` on 127.0.0.1."""

    def __init__(self, port):
        """``port`` 0 picks one, see :attr:`port`. Raises :exc:`OSError`."""
        self._lock = threading.Lock()
        self._live = set()
        self._accepted = self._ended = self._opened = 0
        self._passed = [0] * 4
        self._closed = dict.fromkeys(_CODES, 0)
        try:
            self._http = _Server(('127.0.0.1', port), _Handler)
        except (OSError, OverflowError) as e:
            raise OSError('--metrics cannot listen on 127.0.0.1, port %d: %s'
                          % (port, getattr(e, 'strerror', None) or e)) from e
        self._http.metrics = self
        self.port = self._http.server_address[1]
        _linkspan.measure_gil_wait(True)
        threading.Thread(target=self._http.serve_forever, name='Metrics', daemon=True).start()

    def stop(self):
        """Answers no more."""
        self._http.shutdown()
        self._http.server_close()

    def began(self, handler):
        with self._lock:
            self._accepted += 1

    def ended(self, handler):
        with self._lock:
            self._ended += 1

    def opened(self, request):
        with self._lock:
            self._opened += 1
            self._live.add(request)

    def closed(self, request):
        traffic = request.connection._line.traffic()[2:]
        with self._lock:
            self._live.discard(request)
            self._passed = [sum(pair) for pair in zip(self._passed, traffic)]
            self._closed[_name_of(close_code(request))] += 1

    def text(self):
        """All of it, in OpenMetrics 1.0."""
        waits, seconds = _linkspan.gil_wait()
        with self._lock:
            # What has ended since is counted once: not here any more, but in the sum.
            rows = [self._passed] + [request.connection._line.traffic()[2:] for request in self._live]
            values = [self._accepted - self._ended, self._accepted, self._opened, len(self._live),
                      *map(sum, zip(*rows)), waits, seconds]
            closed = list(self._closed.items())
        lines = []
        for (name, kind, unit, text), value in zip(_FAMILIES, values):
            lines += _head(name, kind, unit, text)
            lines.append('linkspan_%s%s %s' % (name, '_total' if kind == 'counter' else '', value))
        lines += _head('closed', 'counter', '', 'WebSockets that had opened and have closed, by close code')
        lines += ['linkspan_closed_total{code="%s"} %d' % item for item in closed]
        return '\n'.join(lines) + '\n# EOF\n'


def close_code(request):
    """The code with which a WebSocket has ended: the client's, else ours, else 1006."""
    if request.client_terminated:
        return 1006 if request.ws_close_code is None else request.ws_close_code
    return getattr(request, '_sent_close_code', 1006)


def _name_of(code):
    name = '%dxxx' % (code // 1000) if 3000 <= code <= 4999 else str(code)
    return name if name in _CODES else 'other'


def _head(name, kind, unit, text):
    lines = ['# TYPE linkspan_%s %s' % (name, kind)]
    if unit:
        lines.append('# UNIT linkspan_%s %s' % (name, unit))
    return lines + ['# HELP linkspan_%s %s' % (name, text)]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Who asks and goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    # Seconds for a request to come.
    timeout = 10

    def do_GET(self):
        if self.path.partition('?')[0] != '/metrics':
            self.send_error(404)
            return
        text = self.server.metrics.text().encode()
        self.send_response(200)
        self.send_header('Content-Type', _CONTENT_TYPE)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(text)

    do_HEAD = do_GET

    def log_message(self, *_):
        """Nothing: whoever asks does so every few seconds."""
