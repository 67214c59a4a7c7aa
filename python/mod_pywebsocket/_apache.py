"""Handlers inside of Apache, for its module mod_linkspan_python, which calls it.

The library under the module speaks the protocol: frames, masks, UTF-8 and compression are its own, and what passes here
are messages. Each open connection has a native thread, which calls :func:`serve`.
"""

import contextlib
import io
import logging
import os
import sys
import traceback
from http import client as http_client

from mod_pywebsocket import Request, common, dispatch, handshake, stream
from mod_pywebsocket.handshake import hybi

_LOGGER = logging.getLogger(__name__)
_TEXT, _BINARY = common.OPCODE_TEXT, common.OPCODE_BINARY

# The flag of an `async` function, as `inspect.CO_COROUTINE`.
_IS_ASYNC = 128

# What ends a connection when the peer has broken a rule, by the close code that told it so.
_FAULTS = {
    common.STATUS_PROTOCOL_ERROR: stream.InvalidFrameException,
    common.STATUS_UNSUPPORTED_DATA: stream.UnsupportedFrameException,
    common.STATUS_INVALID_FRAME_PAYLOAD_DATA: stream.InvalidUTF8Exception,
    common.STATUS_MESSAGE_TOO_BIG: stream.MessageTooBigException,
}
# Of what `facts` says, before the header fields.
_FACTS = ('uri', 'unparsed_uri', 'method', 'protocol', 'scheme', 'remote_host', 'remote_port', 'local_host',
          'local_port', 'request_line')

_dispatcher = None


def start(native, root, scan, allow_outside, home):
    """Reads the handler files; the resources that they have, as ``bytes``. ``native`` is the module's own half."""
    global _dispatcher
    if home and os.path.realpath(sys.prefix) != os.path.realpath(home):
        # Another module has started Python, without that environment.
        import site
        site.addsitedir(os.path.join(home, 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages'))
    _configure_logging(native)
    try:
        _dispatcher = Dispatcher(root, scan, allow_outside)
    except SystemExit:
        raise RuntimeError('a handler file ends the process, which is Apache\'s')
    suites = _dispatcher._handler_suite_map
    for resource, suite in list(suites.items()):
        for hook in vars(suite).values():
            if getattr(getattr(hook, '__code__', None), 'co_flags', 0) & _IS_ASYNC:
                # Each handler has a thread here.
                _dispatcher.source_warnings().append('%s, line %d: %s is async, and not served inside of Apache' % (
                    hook.__code__.co_filename, hook.__code__.co_firstlineno, hook.__name__))
                suites.pop(resource, None)
    for warning in _dispatcher.source_warnings():
        _LOGGER.error('%s', warning)
    return [os.fsencode(resource) for resource in _dispatcher._handler_suite_map]


def check(root, scan):
    """Says of each handler file that is no Python where it is not. Nothing is executed."""
    for path in dispatch._enumerate_handler_file_paths(dispatch._normalize_path(scan or root)):
        try:
            with open(path) as source:
                compile(source.read(), path, 'exec', dont_inherit=True)
        except SyntaxError as e:
            print('%s:%s: %s' % (path, e.lineno, e.msg), file=sys.stderr)
        except (OSError, ValueError) as e:
            print('%s: %s' % (path, e), file=sys.stderr)


def serve(line, facts):
    """One connection, from the handshake to its end."""
    request = _ApacheRequest(line, facts)
    try:
        status = _open(request)
        if status != 101:
            line.refuse(status)
            return
        headers = [('%s' % name, '%s' % value) for name, value in request.extra_headers]
        is_open = line.accept(request.ws_protocol, headers, not request._wants_deflate)
    except BaseException:
        # SystemExit too: it would end all of Apache's child.
        _LOGGER.error('%s', traceback.format_exc())
        line.refuse(500)
        return
    if is_open:
        _converse(request, line)


def _open(request):
    """Asks the handler: 101, the HTTP status of a refusal, or 0 for none at all."""
    try:
        _Handshaker(request, _dispatcher).do_handshake()
    except handshake.AbortedByUserException as e:
        _LOGGER.info('The handler ends the connection: %s', e)
        return 0
    except handshake.HandshakeException as e:
        _LOGGER.info('The handshake fails: %s', e)
        return e.status
    except dispatch.DispatchException as e:
        _LOGGER.info('Dispatching fails: %s', e)
        return e.status
    return 101


def _converse(request, line):
    """The conversation; what the handler raises ends its own connection only."""
    extensions = line.extensions()
    request.ws_extensions = common.parse_extensions(extensions) if extensions else None
    request._dispatcher = _dispatcher
    try:
        _dispatcher.transfer_data(request)
    except handshake.AbortedByUserException as e:
        _LOGGER.info('The handler ends the connection: %s', e)
        line.abort()
    except BaseException as e:
        if isinstance(e, OSError) and line.end()['is_over']:
            _LOGGER.debug('The client has gone: %s', e)
        else:
            _LOGGER.error('%s from %s: %s', request.ws_resource, request.connection.remote_addr[0],
                          traceback.format_exc())
        line.close(common.STATUS_INTERNAL_ENDPOINT_ERROR, b'')


class Dispatcher(dispatch.Dispatcher):
    """As our own server's; what a handler has done wrong is always said, with a traceback."""

    def _closing(self, error):
        if isinstance(error, stream.BadOperationException):
            _LOGGER.error('%s', traceback.format_exc())
        return super()._closing(error)


class _Handshaker(hybi.Handshaker):
    """What is left of the handshake when Apache and the library have judged the request."""

    def _validate_request(self):
        pass

    def _check_version(self):
        return common.VERSION_HYBI_LATEST

    def _set_accept(self):
        pass

    def _process_extensions(self, stream_options):
        """The library compresses, where ``LinkspanCompression`` and the handler let it."""
        request = self._request
        request.ws_extensions = None
        request._wants_deflate = any(processor is not None and processor.is_active() and processor.name() == 'deflate'
                                     for processor in request.ws_extension_processors)

    def _send_handshake(self):
        self._request.ws_stream = ApacheStream(self._request)


class _ApacheRequest(Request):
    """A request that Apache has read."""

    def __init__(self, line, facts):
        self._line = line
        self._facts = said = dict(zip(_FACTS, facts))
        self.headers_in = headers = http_client.HTTPMessage()
        fields = facts[len(_FACTS):]
        for name, value in zip(fields[::2], fields[1::2]):
            headers.set_raw(name, value)
        headers.set_payload('')
        self.connection = _ApacheConnection(said, headers)
        self._on_ping_handler = self._on_pong_handler = None

    def get_uri(self):
        """The request's target as Apache has found it, behind rewriting: path and query."""
        return self._facts['uri']

    uri = property(get_uri)

    def get_unparsed_uri(self):
        """The request's target as it came."""
        return self._facts['unparsed_uri']

    unparsed_uri = property(get_unparsed_uri)

    def get_method(self):
        """``'GET'``."""
        return self._facts['method']

    method = property(get_method)

    def get_protocol(self):
        """``'HTTP/1.1'`` or ``'HTTP/2.0'``."""
        return self._facts['protocol']

    protocol = property(get_protocol)

    def is_https(self):
        """Whether the connection is encrypted."""
        return self._facts['scheme'] == 'https'

    # Pings and pongs come here only if somebody wants them; otherwise the library answers.

    def _set_on_ping_handler(self, function):
        self._on_ping_handler = function
        self._line.watch(function or self._on_pong_handler)

    on_ping_handler = property(lambda self: self._on_ping_handler, _set_on_ping_handler)

    def _set_on_pong_handler(self, function):
        self._on_pong_handler = function
        self._line.watch(function or self._on_ping_handler)

    on_pong_handler = property(lambda self: self._on_pong_handler, _set_on_pong_handler)


class _ApacheConnection:
    """Where the two ends are. The bytes between them are the library's."""

    def __init__(self, said, headers):
        self._said = said
        self._headers = headers

    def get_local_addr(self):
        """``(host, port)``: the server's name, and where it was reached."""
        return self._said['local_host'], int(self._said['local_port'])

    local_addr = property(get_local_addr)

    def get_remote_addr(self):
        """``(address, port)`` of the client, as mod_remoteip may know it."""
        return self._said['remote_host'], int(self._said['remote_port'])

    remote_addr = property(get_remote_addr)

    def read(self, length):
        """Raises ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('inside of Apache a handler can not read raw bytes; ws_stream receives messages')

    def write(self, data):
        """Raises ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('inside of Apache a handler can not write raw bytes; ws_stream sends messages')

    def get_memorized_lines(self):
        """The lines of the request's head as ``bytes``, as far as Apache remembers them."""
        lines = [self._said['request_line']]
        lines.extend('%s: %s' % field for field in self._headers.items())
        return [line.encode('iso-8859-1') + b'\r\n' for line in (*lines, '')]


class ApacheStream(stream.Stream):
    """The stream of a handler inside of Apache: the methods of :class:`Stream`, over messages."""

    def __init__(self, request):
        super().__init__(request, stream.StreamOptions())
        self._line = request._line
        # The kind of the message that is being sent in fragments.
        self._open = None

    def receive_message(self):
        """As :meth:`Stream.receive_message`."""
        self._check_receivable()
        while True:
            got = self._line.receive()
            if got is None:
                return self._note_end()
            opcode, payload = got
            self._original_opcode = opcode
            if opcode == _TEXT or opcode == _BINARY:
                return payload
            if opcode == common.OPCODE_PING:
                self._process_ping_message(payload)
            elif opcode == common.OPCODE_PONG:
                self._process_pong_message(payload)
            else:
                self._process_close_message(payload)
                return None

    def _note_close(self, message):
        request = self._request
        request.client_terminated = True
        request.ws_close_code, request.ws_close_reason = message
        if request.ws_close_code == common.STATUS_NO_STATUS_RECEIVED:
            request.ws_close_reason = None
        return not request.server_terminated

    def _answer_close(self, message, answer):
        super()._answer_close(b'', answer)

    def _note_end(self):
        """Nothing more comes: ``None`` after a good end, or the exception that tells of another."""
        request, end = self._request, self._line.end()
        # The library has sent all that there was to send.
        was_terminated, request.server_terminated = request.server_terminated, True
        request.client_terminated = True
        if end['fault_code'] in _FAULTS:
            raise _FAULTS[end['fault_code']](end['fault'])
        if not end['is_clean'] and not end['is_leaving']:
            raise stream.ConnectionTerminatedException(
                end['fault'] or 'the peer %r ended the connection' % (request.connection.remote_addr,))
        self._original_opcode = common.OPCODE_CLOSE
        request.ws_close_code = end['code'] if end['is_clean'] else common.STATUS_GOING_AWAY
        if not was_terminated:
            request._sent_close_code = common.STATUS_GOING_AWAY
        return None

    def _take_frame(self):
        return self._read(1)

    def _read(self, length):
        return self._request.connection.read(length)

    def receive_filtered_frame(self):
        """Raises ``io.UnsupportedOperation``: frames are the library's."""
        return self._read(1)

    def send_message(self, message, end=True, binary=False):
        """As :meth:`Stream.send_message`. Returns when the message waits for the peer with not more than
        ``LinkspanMaxQueue`` bytes."""
        self._check_sendable(message, binary)
        kind = _BINARY if binary else _TEXT
        if not binary and not isinstance(message, str):
            # As `encode` of what has none.
            raise AttributeError('a text message is a str, not %s' % type(message).__name__)
        with self._sending:
            if self._open not in (None, kind):
                raise stream.BadOperationException('a message cannot change between text and binary')
            try:
                self._line.send(kind, message, self._open is None, end)
            except UnicodeEncodeError as e:
                raise stream.BadOperationException(e)
            except OSError as e:
                self._prepend_peer(e)
                raise
            self._open = None if end else kind

    def send_ping(self, body, binary=False):
        """As :meth:`Stream.send_ping`."""
        if not binary and isinstance(body, str):
            body = body.encode('utf-8')
        stream.create_ping_frame(body)
        self._line.ping(body)
        self._ping_queue.append(body)

    def _send_pong(self, body):
        stream.create_pong_frame(body)
        self._line.pong(body)

    def close_connection(self, code=common.STATUS_NORMAL_CLOSURE, reason='', wait_response=True):
        """As :meth:`Stream.close_connection`. The library closes what does not answer in time."""
        if not self._send_close(code, reason, wait_response):
            return
        self._line.wait()
        end = self._line.end()
        if not end['is_clean'] and not end['is_leaving']:
            raise stream.ConnectionTerminatedException('the peer has not answered the close frame')
        request = self._request
        request.client_terminated = True
        if end['is_clean']:
            request.ws_close_code = end['code']

    def _send_closing_handshake(self, code, reason):
        body = stream.create_closing_handshake_body(code, reason)
        stream.create_close_frame(body)
        request = self._request
        request.server_terminated = True
        request._sent_close_code = common.STATUS_NO_STATUS_RECEIVED if code is None else code
        self._line.close(code or 0, body[2:])


class _ErrorLog(logging.Handler):
    """Apache's error log, a line for each line."""

    def __init__(self, log):
        super().__init__()
        self._log = log

    def emit(self, record):
        with contextlib.suppress(Exception):
            for line in self.format(record).splitlines():
                text = '%s: %s' % (record.name, line)
                self._log(record.levelno, text.encode('utf-8', 'replace').replace(b'\0', b'\\x00'))


def _configure_logging(native):
    root = logging.getLogger()
    root.addHandler(_ErrorLog(native.log))
    logging.getLogger('mod_pywebsocket').setLevel(native.level())
    if root.level == logging.WARNING:
        # As it is when nobody has said anything.
        root.setLevel(max(native.level(), logging.INFO))
