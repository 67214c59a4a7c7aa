"""From an HTTP request to a WebSocket's handler, to a file, or to a CGI script."""

import http.server
import os
import posixpath
import re
import socketserver
import sys
import urllib.parse
from http import client as http_client

from linkspan._linkspan import Channel
from mod_pywebsocket import Request, common, dispatch, handshake, http_header_util, memorizingfile, util
from mod_pywebsocket._connection import ChannelFile, _StandaloneConnection

_MAX_MEMORIZED_LINES = 1024

# The header lines and the empty line of a head: no folded lines, no lone CR, none too many.
_PLAIN_HEADERS = re.compile(rb'(?:[!-9;-~]+:[^\r\n]*\r?\n){0,99}\r?\n')
# The longest line that the base class allows; a head in which no line can be longer.
_MAX_PLAIN_BYTES = 65536

# The class that the original extends left Python with 3.15; only its name is needed.
_HttpRequestHandler = http.server.SimpleHTTPRequestHandler
if sys.version_info < (3, 13):
    _HttpRequestHandler = http.server.CGIHTTPRequestHandler


class _StandaloneRequest(Request):
    """A request of our own server."""

    # The close frame of a server that goes away, until it has left.
    _goodbye = None

    def __init__(self, request_handler, use_tls):
        self._request_handler = request_handler
        self._use_tls = use_tls
        self.connection = _StandaloneConnection(request_handler)
        self.headers_in = request_handler.headers

    def _send_goodbye(self):
        """Sends it, unless the handler is in the middle of a message just now."""
        frame, self._goodbye = self._goodbye, None
        if frame is not None and not self.connection._line.offer(frame):
            self._goodbye = frame


class WebSocketRequestHandler(_HttpRequestHandler):
    """Serves one connection: one request, and the WebSocket that it may become."""

    MessageClass = http_client.HTTPMessage
    # What an `async` handler still does when this object has done its part: a Future.
    _conversation = None
    # Frames may follow a head at once, so no file may read ahead.
    rbufsize = 0

    def __init__(self, request, client_address, server):
        self._logger = util.get_class_logger(self)
        self._options = server.websocket_server_options
        self.cgi_directories = self._options.cgi_directories
        if self._options.is_executable_method is not None:
            self.is_executable = self._options.is_executable_method
        self._observers = getattr(server, '_observers', ())
        for observer in self._observers:
            observer.began(self)
        # What http.server's own does, without its step through C: a thread keeps the stack that it has touched.
        self.directory = os.getcwd()
        try:
            socketserver.StreamRequestHandler.__init__(self, request, client_address, server)
        finally:
            conversation = getattr(self, '_conversation', None)
            if conversation is None:
                self._has_ended()
            else:
                conversation.add_done_callback(lambda _: self._has_ended())

    def _has_ended(self):
        for observer in self._observers:
            observer.ended(self)

    def setup(self):
        """Makes the files of the connection, of which one remembers the head."""
        if type(self.request) is Channel:
            self.connection = self.request
            self.rfile = self.wfile = ChannelFile(self.request)
        else:
            super().setup()
        self.rfile = memorizingfile.MemorizingFile(self.rfile, max_memorized_lines=_MAX_MEMORIZED_LINES)

    def parse_request(self):
        """Reads the head; serves the WebSocket if it asks for one that a handler has.

        Returns whether the request is left for files and scripts.
        """
        if not (self._parse_plain_head() or super().parse_request()):
            return False
        options = self._options
        if options.use_basic_auth and not self._is_authorized():
            self.send_response(401, 'Unauthorized')
            self.send_header('WWW-Authenticate', 'Basic realm="Pywebsocket"')
            self.end_headers()
            self._logger.info('The request is not authorized: %r', self.path)
            return False

        host, port, resource = http_header_util.parse_uri(self.path)
        if resource is None:
            self._logger.info('The target %r is not a URI', self.path)
            return True
        if host is not None:
            if options.validation_host is not None and host != options.validation_host:
                self._logger.info('The target %r names another host', self.path)
                return True
            if options.validation_port is not None and port != options.validation_port:
                self._logger.info('The target %r names another port', self.path)
                return True
        self.path = resource

        is_secure = options.use_tls
        if getattr(options, 'forwarded', False):
            from mod_pywebsocket import _forwarded
            self.client_address, is_secure = _forwarded.told(self.headers, self.client_address, is_secure)
        request = _StandaloneRequest(self, is_secure)
        if hasattr(options, 'max_message_bytes'):
            request._max_message_bytes = options.max_message_bytes or None
        if hasattr(options, 'close_timeout'):
            request._close_timeout = options.close_timeout or None
        try:
            # A target without a handler is a file or a script.
            if options.dispatcher.get_handler_suite(self.path) is None:
                self._logger.info('No handler for the resource %r', self.path)
                return True
        except dispatch.DispatchException as e:
            self._logger.info('Dispatching fails: %s', e)
            self.send_error(e.status)
            return False
        if getattr(options, 'origins', None) and not self._is_welcome(options.origins):
            return False
        if self.headers.get('Transfer-Encoding') or self.headers.get('Content-Length', '0').strip('0'):
            # Whoever passed the request on takes for its body what would be frames here.
            self.send_error(common.HTTP_STATUS_BAD_REQUEST, 'An opening handshake has no body')
            return False

        try:
            try:
                handshake.do_handshake(request, options.dispatcher)
            except handshake.VersionException as e:
                self._logger.info('The handshake fails: %s', e)
                self.send_response(common.HTTP_STATUS_BAD_REQUEST)
                self.send_header(common.SEC_WEBSOCKET_VERSION_HEADER, e.supported_versions)
                self.end_headers()
                return False
            except handshake.HandshakeException as e:
                self._logger.info('The handshake fails: %s', e)
                self.send_error(e.status)
                return False
            request._dispatcher = options.dispatcher
            self._transfer_data(request)
        except handshake.AbortedByUserException as e:
            self._logger.info('The handler ends the connection: %s', e)
        return False

    def _transfer_data(self, request):
        """The conversation; while it lasts, the server knows the request. An ``async`` one goes on after this."""
        open_requests = getattr(self.server, '_open_requests', set())
        open_requests.add(request)
        request._conversation = None

        def close():
            # A handler that was in the middle of a message has not always waited for it.
            request._send_goodbye()
            open_requests.discard(request)
            for observer in self._observers:
                observer.closed(request)

        if self._observers or getattr(self.server, '_keepalive', None):
            request.ws_stream._counted = request.connection._line
        for observer in self._observers:
            observer.opened(request)
        try:
            self._options.dispatcher.transfer_data(request)
        finally:
            if request._conversation is None:
                close()
        if request._conversation is not None:
            self._conversation = request._conversation
            self._conversation.add_done_callback(lambda _: close())

    def _parse_plain_head(self):
        """What the base class does, for a head without anything unusual about it; whether it is one.

        Nothing is read when it is not. The base class needs ten times as long.
        """
        words = str(self.raw_requestline, 'iso-8859-1').rstrip('\r\n').split()
        if (len(words) != 3 or words[2] not in ('HTTP/1.1', 'HTTP/1.0') or self.protocol_version != 'HTTP/1.0'
                or type(self.request) is not Channel or self.MessageClass is not http_client.HTTPMessage):
            return False
        match = _PLAIN_HEADERS.match(self.request.peek())
        if match is None or match.end() > _MAX_PLAIN_BYTES:
            return False
        head = self.request.read(match.end())
        self.rfile.get_memorized_lines().extend(head.splitlines(True))
        headers = self.MessageClass()
        for line in str(head, 'iso-8859-1').split('\n')[:-2]:
            name, _, value = line.partition(':')
            headers.set_raw(name, value.lstrip(' \t').rstrip('\r'))
        # A head has no parts, whatever its Content-Type says.
        headers.set_payload('')
        self.requestline = str(self.raw_requestline, 'iso-8859-1').rstrip('\r\n')
        self.command, self.path, self.request_version = words
        if self.path.startswith('//'):
            # Not a host's name, wherever this path is written.
            self.path = '/' + self.path.lstrip('/')
        self.headers = headers
        self.close_connection = True
        return True

    def _is_authorized(self):
        given = self.headers.get('Authorization', '')
        from hmac import compare_digest
        return compare_digest(given.encode('utf-8', 'surrogateescape'),
                              self._options.basic_auth_credential.encode('utf-8'))

    def _is_welcome(self, origins):
        """Whether the page that asks may connect (RFC 6455 10.2); answers it when not.

        A request without an origin is not a browser's.
        """
        given = self.headers.get_all(common.ORIGIN_HEADER) or []
        if len(given) > 1:
            self._logger.info('The request has several origins: %r', given)
            self.send_error(common.HTTP_STATUS_BAD_REQUEST)
            return False
        if given and given[0].lower() not in (origin.lower() for origin in origins):
            self._logger.info('The origin %r is not one of those allowed', given[0])
            self.send_error(common.HTTP_STATUS_FORBIDDEN, 'Origin not allowed')
            return False
        return True

    def log_request(self, code='-', size='-'):
        """One line for each answer, at INFO."""
        self._logger.info('"%s" %s %s', self.requestline, str(code), str(size))

    def log_error(self, *args):
        """What goes wrong with a request, at WARNING."""
        self._logger.warning('%s - %s', self.address_string(), args[0] % args[1:])

    # Scripts and files.

    def is_cgi(self):
        """Whether the target is an executable file below one of the CGI directories; of ``/``, directly in it."""
        target, _, query = self.path.partition('?')
        # As the file's path is found: another way to write it does not show the script's source.
        path = posixpath.normpath('/' + urllib.parse.unquote(target.partition('#')[0]).lstrip('/'))
        for directory in self.cgi_directories:
            prefix = directory.rstrip('/') + '/'
            name = path[len(prefix):]
            if not path.startswith(prefix) or prefix == '/' and '/' in name:
                continue
            script = self.translate_path(target)
            if os.path.isfile(script) and self.is_executable(script):
                self.cgi_info = directory.rstrip('/'), name + ('?' + query if query else '')
                return True
        return False

    def is_executable(self, path):
        """Whether a file is a script."""
        return os.access(path, os.X_OK)

    def run_cgi(self):
        """Answers by the script that :meth:`is_cgi` has found."""
        from mod_pywebsocket import _cgi
        directory, rest = self.cgi_info
        name, _, query = rest.partition('?')
        url = directory + '/' + name
        script = self.translate_path(urllib.parse.quote(url))
        if '..' in urllib.parse.unquote(self.path.partition('?')[0]).split('/'):
            self.send_error(404, 'File not found')
        elif not _is_inside(self.directory, script):
            self.send_error(403, 'The script is outside of the document root')
        else:
            _cgi.run_script(self, script, url, query)

    def do_POST(self):
        """Scripts only."""
        if self.is_cgi():
            self.run_cgi()
        else:
            self.send_error(501, 'Can only POST to CGI scripts')

    def send_head(self):
        """The head of the answer to GET and HEAD: a script's, or a file's."""
        if self.is_cgi():
            self.run_cgi()
            return None
        path = self.translate_path(self.path)
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            # Opening a pipe waits for somebody who writes, and a device may have no end.
            self.send_error(404, 'File not found')
            return None
        try:
            return http.server.SimpleHTTPRequestHandler.send_head(self)
        except ValueError:
            # A NUL, or what is no character: no file has such a name.
            self.send_error(404, 'File not found')
            return None


def _is_inside(directory, path):
    """Whether links lead from the path to a place inside of the directory."""
    directory = os.path.realpath(directory)
    return os.path.commonpath([directory, os.path.realpath(path)]) == directory
