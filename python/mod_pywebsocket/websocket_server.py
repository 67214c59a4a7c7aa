"""The stand-alone server: listening sockets, and a thread for each open connection."""

import logging
import os
import re
import select
import socket
import socketserver
import sys
import threading
import traceback
from http.server import HTTPServer

from mod_pywebsocket import dispatch, util
from mod_pywebsocket.request_handler import WebSocketRequestHandler

# What follows a line of the map file's two words is an error.
_MAP_LINE = re.compile(r'(\S+)\s+(\S+)$')
# Enough for any Python handler; thousands of threads fit beside each other.
_THREAD_STACK_BYTES = 1 << 20


def _alias_handlers(dispatcher, websock_handlers_map_file):
    """Reads a map file: on each line an alias and the resource whose handler it gets."""
    logger = logging.getLogger(__name__)
    with open(websock_handlers_map_file) as map_file:
        for number, line in enumerate(map_file, 1):
            line = line.rstrip()
            if not line or line.startswith('#'):
                continue
            match = _MAP_LINE.match(line)
            if not match:
                logger.warning('%s, line %d: not two words: %s', websock_handlers_map_file, number, line)
                continue
            try:
                dispatcher.add_resource_path_alias(match.group(1), match.group(2))
            except dispatch.DispatchException as e:
                logger.error('%s, line %d: %s', websock_handlers_map_file, number, e)


class WebSocketServer(socketserver.ThreadingMixIn, HTTPServer):
    """Serves the handlers, files and scripts that ``options`` name.

    ``options`` is what ``standalone._parse_args_and_config`` returns, or anything with its attributes; it is
    read again for each request. ``options.dispatcher`` is made here.
    """

    daemon_threads = True
    allow_reuse_address = True
    # Two servers never share a port unseen.
    allow_reuse_port = False

    def __init__(self, options):
        self._logger = util.get_class_logger(self)
        self.websocket_server_options = options
        self.request_queue_size = options.request_queue_size
        self._open_requests = set()
        self._shutdown_wanted = False
        self._is_served = threading.Event()
        self._is_served.set()

        options.dispatcher = dispatch.Dispatcher(
            options.websock_handlers, options.scan_dir, options.allow_handlers_outside_root_dir,
            getattr(options, 'handler_encoding', None))
        if options.websock_handlers_map_file:
            _alias_handlers(options.dispatcher, options.websock_handlers_map_file)
        for warning in options.dispatcher.source_warnings():
            self._logger.warning('Warning in source loading: %s', warning)

        socketserver.BaseServer.__init__(self, (options.server_host, options.port), WebSocketRequestHandler)
        self._create_sockets()
        self.server_bind()
        self.server_activate()

    # Listening.

    def _create_sockets(self):
        """Makes a socket for each address of the host; ``_sockets`` has them with what they are for."""
        self.server_name, self.server_port = self.server_address
        self._sockets = []
        if not self.server_name:
            # Every address: IPv6 takes IPv4 along where the system lets it.
            infos = [(socket.AF_INET6, socket.SOCK_STREAM, 0, '', ''), (socket.AF_INET, socket.SOCK_STREAM, 0, '', '')]
        else:
            infos = socket.getaddrinfo(self.server_name, self.server_port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        for info in infos:
            try:
                self._sockets.append((socket.socket(info[0], info[1], info[2]), info))
            except OSError as e:
                self._logger.info('Cannot make a socket for %r: %s', info, e)

    def server_bind(self):
        """Binds the sockets; those that cannot be bound are dropped."""
        for socket_, info in self._sockets[:]:
            if self.allow_reuse_address:
                socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                socket_.bind((self.server_name, self.server_port))
            except (OSError, OverflowError) as e:
                self._drop(socket_, info, 'bind', e)
                continue
            if self.server_port == 0:
                # The others follow the first.
                self.server_port = socket_.getsockname()[1]
                self.server_address = self.server_name, self.server_port

    def server_activate(self):
        """Listens; :exc:`OSError` when no socket is left to listen on."""
        for socket_, info in self._sockets[:]:
            try:
                socket_.listen(self.request_queue_size)
            except OSError as e:
                self._drop(socket_, info, 'listen', e)
        if not self._sockets:
            why = getattr(self, '_why_dropped', 'the name has no address')
            message = 'cannot listen on %s port %s: %s' % (self.server_name or '*', self.server_port, why)
            self._logger.debug('%s', message)
            raise OSError(message)
        self.socket = self._sockets[0][0]

    def _drop(self, socket_, info, verb, error):
        self._logger.info('Cannot %s for %r: %s', verb, info, error)
        if not hasattr(self, '_why_dropped') or getattr(error, 'errno', None):
            self._why_dropped = getattr(error, 'strerror', None) or str(error)
        self._sockets.remove((socket_, info))
        socket_.close()

    def server_close(self):
        """Stops listening; open connections stay."""
        for socket_, info in self._sockets:
            self._logger.info('Stops listening on %r', info)
            socket_.close()

    def fileno(self):
        """There are several listening sockets, so there is no answer."""
        self._logger.critical('A server with several sockets has no fileno')
        return self._sockets[0][0].fileno()

    # Serving.

    def serve_forever(self, poll_interval=0.5):
        """Accepts connections until :meth:`shutdown`, which another thread calls."""
        self._is_served.clear()
        try:
            poll = select.poll()
            sockets = {}
            for socket_, _ in self._sockets:
                socket_.setblocking(False)
                sockets[socket_.fileno()] = socket_
                poll.register(socket_, select.POLLIN)
            while not self._shutdown_wanted:
                for fd, _ in poll.poll(poll_interval * 1000):
                    if self._shutdown_wanted:
                        break
                    self.socket = sockets[fd]
                    self._handle_request_noblock()
                self.service_actions()
        finally:
            self._shutdown_wanted = False
            self._is_served.set()

    def shutdown(self):
        """Ends :meth:`serve_forever` and waits until it has returned; open connections stay."""
        self._shutdown_wanted = True
        self._is_served.wait()

    def get_request(self):
        """Accepts a connection: a socket and the peer's address."""
        accepted, client_address = self.socket.accept()
        accepted.setblocking(True)
        return accepted, client_address

    def process_request(self, request, client_address):
        """Gives the connection to a thread of its own."""
        before = threading.stack_size(_THREAD_STACK_BYTES)
        try:
            socketserver.ThreadingMixIn.process_request(self, request, client_address)
        finally:
            threading.stack_size(before)

    def finish_request(self, request, client_address):
        """The connection from its first byte to its last, on its thread."""
        if self.websocket_server_options.use_tls:
            request = self._tls_context().wrap_socket(request, server_side=True, suppress_ragged_eofs=True)
        self.RequestHandlerClass(request, client_address, self)

    def _tls_context(self):
        import ssl
        options = self.websocket_server_options
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.private_key)
        return context

    def handle_error(self, request, client_address):
        """Logs what ended a connection's thread."""
        self._logger.error('Exception in processing request from: %r\n%s', client_address, traceback.format_exc())
