"""WebSocket servers whose handlers are small Python files.

Put a file ``echo_wsh.py`` into a directory::

    def web_socket_do_extra_handshake(request):
        pass  # look at request.headers_in; raise an exception to refuse

    def web_socket_transfer_data(request):
        while True:
            message = request.ws_stream.receive_message()
            if message is None:  # the client has closed
                return
            request.ws_stream.send_message(message, binary=isinstance(message, bytes))

and serve it as ``ws://localhost:9998/echo``::

    python -m mod_pywebsocket.standalone -p 9998 -w that_directory

Each open connection has a thread of its own, so a handler simply waits for what comes next. Three
functions of a handler file have a meaning; the third may be left out:

``web_socket_do_extra_handshake(request)``
    Called before the connection is accepted. Choose a subprotocol by setting ``request.ws_protocol``
    to one of ``request.ws_requested_protocols``; add headers to ``request.extra_headers``; raise
    ``mod_pywebsocket.handshake.AbortedByUserException`` to end the connection without an answer, or
    anything else to answer 403.
``web_socket_transfer_data(request)``
    The conversation: ``request.ws_stream.receive_message()`` gives ``str``, ``bytes``, or ``None``
    when the client has closed; ``request.ws_stream.send_message(message, binary=False)`` sends. The
    connection is closed when the function returns.
``web_socket_passive_closing_handshake(request)``
    The client has closed with ``request.ws_close_code`` and ``request.ws_close_reason``; return the
    code and the reason to answer with.

The same modules are importable as ``pywebsocket3``.
"""


class Request:
    """What the functions of a handler file are called with.

    A type to write where a handler says what it takes; the server makes the objects::

        from mod_pywebsocket import Request

        def web_socket_transfer_data(request: Request) -> None:
            request.ws_stream.send_message('Hello')

    A handler may set attributes of its own. To let type checkers know them, name them in a subclass, and write
    that one instead::

        class ChatRequest(Request):
            nickname: str

        def web_socket_do_extra_handshake(request: ChatRequest) -> None:
            request.nickname = request.headers_in.get('X-Nickname', 'anonymous')

    Always there:

    ``uri``, ``unparsed_uri``
        The target of the request, path and query, as it came: nothing is decoded.
    ``method``, ``protocol``
        ``'GET'`` and ``'HTTP/1.1'``.
    ``headers_in``
        The headers, an ``http.client.HTTPMessage``. Names in whatever case; of a repeated header the first;
        ``None`` when there is none, from ``headers_in['X-Name']`` too.
    ``is_https()``
        Whether the connection is encrypted.
    ``connection``
        Raw bytes. ``read(n)`` waits for at least one and gives at most ``n``, ``b''`` at the end; ``write(data)``
        sends all of ``data``. ``remote_addr`` is the client's address, ``local_addr`` the server's host and port,
        ``get_memorized_lines()`` the lines of the request's head as ``bytes``.

    From ``web_socket_do_extra_handshake`` on:

    ``ws_resource``
        The same as ``uri``.
    ``ws_origin``
        The ``Origin`` header, or ``None``.
    ``ws_version``
        13.
    ``ws_requested_protocols``
        The subprotocols that the client asks for, a list, or ``None``.
    ``ws_protocol``
        ``None``; to be set to one of them there, and only if there are any.
    ``ws_requested_extensions``
        The extensions that the client offers, a list of ``common.ExtensionParameter``, or ``None``.
    ``ws_extension_processors``
        Those of them that this server knows, as objects of ``extensions``, to be configured, replaced or removed
        there: ``request.ws_extension_processors = []`` does without.
    ``extra_headers``
        ``[]``; pairs of name and value appended there go into the answer.
    ``ws_close_code``, ``ws_close_reason``
        With what the client has closed; ``None`` until then. The code is 1005 when it gave none.

    Once the connection is accepted, so not in ``web_socket_do_extra_handshake``:

    ``ws_stream``
        The ``stream.Stream`` to receive from and to send to.
    ``ws_extensions``
        What was agreed on, a list of ``common.ExtensionParameter``, or ``None``.
    ``client_terminated``, ``server_terminated``
        Whether the close frame of the client, or of this server, has passed. A handler that sends a close frame
        by hand sets ``server_terminated``, and no other is sent.

    Where the handler has set them:

    ``on_ping_handler``, ``on_pong_handler``
        Called with the request and the payload. With the first, no ping is answered unless it does so.
    """

    def get_uri(self):
        """The request's target: path and query."""
        return self._request_handler.path

    uri = property(get_uri)
    unparsed_uri = property(get_uri)

    def get_method(self):
        """``'GET'``."""
        return self._request_handler.command

    method = property(get_method)

    def get_protocol(self):
        """``'HTTP/1.1'``."""
        return self._request_handler.request_version

    protocol = property(get_protocol)

    def is_https(self):
        """Whether the connection is encrypted."""
        return self._use_tls


# The same requests; what differs is that the methods of `ws_stream` are awaited.
AsyncRequest = Request
