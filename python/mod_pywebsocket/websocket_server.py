"""The stand-alone server: listening sockets, and a thread for each open connection.

To run it inside of another program::

    import threading
    from mod_pywebsocket import standalone

    options, _ = standalone._parse_args_and_config(['-H', 'localhost', '-p', '0', '-w', 'that_directory'])
    options.cgi_directories = []
    options.is_executable_method = None
    server = standalone.WebSocketServer(options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    print('listening on port %d' % server.server_port)
    ...
    server.shutdown()
    server.server_close()
    thread.join()
"""

import logging
import re
import select
import socket
import socketserver
import threading
import traceback
from http.server import HTTPServer

from linkspan import _linkspan
from mod_pywebsocket import _listening, _workers, dispatch, handshake, util
from mod_pywebsocket.request_handler import WebSocketRequestHandler

# What follows a line of the map file's two words is an error.
_MAP_LINE = re.compile(r'(\S+)\s+(\S+)$')
# Enough for any Python handler; thousands of threads fit beside each other.
_THREAD_STACK_BYTES = 1 << 20


def _alias_handlers(dispatcher, websock_handlers_map_file):
    """Reads a map file: on each line an alias and the resource whose handler it gets."""
    with open(websock_handlers_map_file) as map_file:
        for number, line in enumerate(map_file, 1):
            line = line.rstrip('\n')
            if line.startswith('#') or not line.strip():
                continue
            match = _MAP_LINE.match(line)
            if not match:
                logging.warning('%s, line %d: not two words: %s', websock_handlers_map_file, number, line)
                continue
            try:
                dispatcher.add_resource_path_alias(match.group(1), match.group(2))
            except dispatch.DispatchException as e:
                logging.error('%s, line %d: %s', websock_handlers_map_file, number, e)


class WebSocketServer(socketserver.ThreadingMixIn, HTTPServer):
    """Serves the handlers, files and scripts that ``options`` name.

    ``options`` is what ``standalone._parse_args_and_config`` returns, or anything with its attributes; it is
    read again for each request. ``options.dispatcher`` is made here.
    """

    daemon_threads = True
    allow_reuse_address = True
    # Two servers never share a port unseen.
    allow_reuse_port = False

    def __new__(cls, *_, **__):
        server = super().__new__(cls)
        # Not in the constructor, which some subclasses do without.
        server._open_requests = set()
        # Those who are told of each connection, and the thread that pings; only where an option asks for them.
        server._observers = []
        server._keepalive = None
        server._server_tls = None
        server._shutdown_wanted = False
        # Whether a connection is half accepted, so that no signal may come between.
        server._is_accepting = False
        server._is_served = threading.Event()
        server._is_served.set()
        return server

    def __init__(self, options):
        self._logger = util.get_class_logger(self)
        self.websocket_server_options = options
        self.request_queue_size = options.request_queue_size

        options.dispatcher = dispatch.Dispatcher(
            options.websock_handlers, options.scan_dir, options.allow_handlers_outside_root_dir,
            getattr(options, 'handler_encoding', None))
        if options.websock_handlers_map_file:
            _alias_handlers(options.dispatcher, options.websock_handlers_map_file)
        for warning in options.dispatcher.source_warnings():
            logging.warning('Warning in source loading: %s', warning)

        socketserver.BaseServer.__init__(self, (options.server_host, options.port), WebSocketRequestHandler)
        self._tls()
        # The stand-alone server listens before it has imported this module.
        listeners = getattr(options, '_listeners', None)
        if listeners:
            self._take_listeners(listeners)
        else:
            self._create_sockets()
            self.server_bind()
            self.server_activate()
        self._observe(options)

    def _observe(self, options):
        if getattr(options, 'json_log', False):
            from mod_pywebsocket import _json_log
            self._observers.append(_json_log.Connections())
        if getattr(options, 'metrics', None) is not None:
            from mod_pywebsocket import _metrics
            self._observers.append(_metrics.Metrics(options.metrics))
            # Where they are, when the system was to choose.
            self._metrics_port = self._observers[-1].port
        ping_interval, idle_timeout = getattr(options, 'ping_interval', 0), getattr(options, 'idle_timeout', 0)
        if ping_interval or idle_timeout:
            from mod_pywebsocket import _keepalive
            self._keepalive = _keepalive.Keepalive(
                self, ping_interval, idle_timeout, getattr(options, 'close_timeout', 0))

    # Listening.

    def _create_sockets(self):
        """Makes a socket for each address of the host; ``_sockets`` has them with what they are for."""
        self.server_name, self.server_port = self.server_address
        self._sockets = _listening.create(self.server_name, self.server_port, self._logger.info)

    def server_bind(self):
        """Binds the sockets; :exc:`OSError` when none can be bound."""
        self.server_port = _listening.bind(
            self._sockets, self.server_name, self.server_port, self.allow_reuse_address, self._logger.info)
        self.server_address = self.server_name, self.server_port

    def server_activate(self):
        """Listens; :exc:`OSError` when no socket can."""
        _listening.listen(self._sockets, self.request_queue_size, self.server_name, self.server_port, self._logger.info)
        self.socket = self._sockets[0][0]

    def _take_listeners(self, listeners):
        """Sockets that listen already, which is what the three steps above lead to."""
        self.server_name = self.server_address[0]
        name = listeners[0][0].getsockname()
        # A Unix socket's is a path.
        self.server_port = name[1] if isinstance(name, tuple) else 0
        self.server_address = self.server_name, self.server_port
        self._sockets = listeners
        self.socket = listeners[0][0]

    def server_close(self):
        """Stops listening; open connections stay."""
        for socket_, info in self._sockets:
            self._logger.info('Stops listening on %r', info)
            socket_.close()
        for observer in self._observers:
            observer.stop()
        if self._keepalive is not None:
            self._keepalive.stop()

    def fileno(self):
        """There are several listening sockets, so there is no answer."""
        self._logger.critical('A server with several sockets has no fileno')
        return self._sockets[0][0].fileno()

    # Serving.

    def serve_forever(self, poll_interval=0.5):
        """Accepts connections until :meth:`shutdown`, which another thread calls.

        A native loop accepts, speaks TLS and waits for the end of each head; then a thread has the
        connection. In a subclass that overrides a step of ``socketserver``, that step is taken.
        """
        self._is_served.clear()
        try:
            if self._takes_own_steps():
                self._serve_step_by_step(poll_interval)
            else:
                self._serve_natively(poll_interval)
        finally:
            self._shutdown_wanted = self._is_accepting = False
            self._is_served.set()

    def shutdown(self):
        """Ends :meth:`serve_forever` and waits until it has returned; open connections stay."""
        self._shutdown_wanted = True
        self._is_served.wait()

    def _takes_own_steps(self):
        steps = ('get_request', 'verify_request', 'process_request', 'process_request_thread', 'finish_request',
                 'shutdown_request', 'close_request', 'service_actions', '_handle_request_noblock')
        return (any(step in self.__dict__ or getattr(type(self), step) is not getattr(WebSocketServer, step)
                    for step in steps)
                or any(type(socket_) is not socket.socket for socket_, _ in self._sockets))

    def _serve_natively(self, poll_interval):
        front = _linkspan.Front([socket_.fileno() for socket_, _ in self._sockets], self._tls())
        workers = _workers.Workers(front, self._serve_channel, _THREAD_STACK_BYTES)
        try:
            while not self._shutdown_wanted:
                workers.keep_one_waiting(poll_interval)
        finally:
            front.close()
            # Open connections stay, and it with them.
            retire = getattr(self.websocket_server_options.dispatcher, '_retire_loop', None)
            if retire is not None:
                retire()

    def _serve_channel(self, channel):
        client_address = channel.getpeername()
        if isinstance(client_address, str):
            # Of a Unix socket; an address has two parts all the same.
            client_address = client_address, 0
        conversation = None
        try:
            kind, arguments = self.RequestHandlerClass, (channel, client_address, self)
            if type(kind) is type:
                # As calling it does, without a step through C: a thread keeps the stack that it has touched.
                handler = kind.__new__(kind, *arguments)
                handler.__init__(*arguments)
            else:
                handler = kind(*arguments)
            conversation = getattr(handler, '_conversation', None)
        except Exception:
            self.handle_error(channel, client_address)
        finally:
            if conversation is None:
                self.shutdown_request(channel)
        if conversation is not None:
            # This thread is free for others.
            conversation.add_done_callback(lambda ended: self._end_conversation(ended, channel, client_address))

    def _end_conversation(self, conversation, channel, client_address):
        try:
            self._conclude(conversation)
        except BaseException:
            self.handle_error(channel, client_address)
        finally:
            self.shutdown_request(channel)

    def _conclude(self, conversation):
        """Waits for the end of an ``async`` handler, and raises what its caller would have seen."""
        try:
            conversation.result()
        except handshake.AbortedByUserException as e:
            self._logger.info('The handler ends the connection: %s', e)
        except SystemExit:
            # It ends no more than the handler.
            pass

    def _serve_step_by_step(self, poll_interval):
        poll = select.poll()
        sockets = {}
        for socket_, _ in self._sockets:
            socket_.setblocking(False)
            sockets[socket_.fileno()] = socket_
            poll.register(socket_, select.POLLIN)
        while not self._shutdown_wanted:
            for fd, _ in poll.poll(poll_interval * 1000):
                self._is_accepting = True
                if self._shutdown_wanted:
                    break
                self.socket = sockets[fd]
                self._handle_request_noblock()
                self._is_accepting = False
            self.service_actions()

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
        if type(request) is not socket.socket:
            # Somebody has wrapped it.
            self.RequestHandlerClass(request, client_address, self)
            return
        channel = _linkspan.Channel(request.fileno(), self._tls())
        try:
            handler = self.RequestHandlerClass(channel, client_address, self)
            conversation = getattr(handler, '_conversation', None)
            if conversation is not None:
                self._conclude(conversation)
            channel.shutdown(socket.SHUT_WR)
        finally:
            channel.close()

    def _tls(self):
        """The certificates, read once; ``None`` without TLS."""
        options = self.websocket_server_options
        if not options.use_tls:
            return None
        if self._server_tls is None:
            ca = None
            if getattr(options, 'tls_client_auth', False):
                ca = options.tls_client_ca
            self._server_tls = _linkspan.ServerTls(
                options.certificate, options.private_key, ca, getattr(options, 'tls_client_cert_optional', False))
            for warning in self._server_tls.warnings():
                self._logger.warning('%s', warning)
        return self._server_tls

    def handle_error(self, request, client_address):
        """Logs what ended a connection's thread."""
        self._logger.error('Exception in processing request from: %r\n%s', client_address, traceback.format_exc())
