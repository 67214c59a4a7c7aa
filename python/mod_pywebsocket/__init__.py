r"""WebSocket servers whose handlers are small Python files.

A first server
--------------

Put a file ``echo_wsh.py`` into a directory::

    # echo_wsh.py
    def web_socket_do_extra_handshake(request):
        pass  # to refuse, raise an exception

    def web_socket_transfer_data(request):
        while True:
            message = request.ws_stream.receive_message()
            if message is None:  # the client has closed
                return
            request.ws_stream.send_message(message, binary=isinstance(message, bytes))

and serve the directory::

    python -m mod_pywebsocket.standalone -H localhost -p 9998 -w that_directory

The file answers at ``ws://localhost:9998/echo``. The name without ``_wsh.py`` is the path: ``games/chess_wsh.py`` is
served as ``/games/chess`` and ``_wsh.py`` as ``/``; a query may follow and is the handler's to read. Files are read
once, when the server starts. One that cannot be used is named in a warning there, and the others are served.
``-d DIRECTORY`` serves files over HTTP beside them, a page that connects for instance, and ``--help`` lists all
options.

To try it, type into the console of a browser::

    ws = new WebSocket('ws://localhost:9998/echo')
    ws.onmessage = event => console.log(event.data)
    ws.onopen = () => ws.send('hello')

or into Python::

    import linkspan

    with linkspan.connect('ws://localhost:9998/echo') as ws:
        ws.send('hello')
        print(ws.receive())

The functions of a handler file
-------------------------------

Two must be there, the third may. Each is called with the request; ``help(mod_pywebsocket.Request)`` lists what it has.

``web_socket_do_extra_handshake(request)``
    Before the connection is accepted. Look at ``request.headers_in``, ``request.uri``, ``request.ws_origin``; choose a
    subprotocol; add headers. Return to accept. ``handshake.AbortedByUserException`` ends the connection without an
    answer, any other exception is answered by 403. There is no ``request.ws_stream`` yet.

``web_socket_transfer_data(request)``
    The conversation. ``request.ws_stream.receive_message()`` waits for a message and gives ``str`` for text, ``bytes``
    for binary, ``None`` when the client has closed. ``send_message('text')`` and ``send_message(b'bytes',
    binary=True)`` send. When the function returns, the connection is closed with 1000. What it raises closes it too:
    see Closing.

``web_socket_passive_closing_handshake(request)``
    The client has closed first, with ``request.ws_close_code`` and ``request.ws_close_reason``. Return the code and the
    reason to answer with; ``None, None`` answers without. It runs inside of ``receive_message()``. Without this
    function the answer is 1000.

Every open connection has a thread of its own, so a handler simply waits for what comes next. Handler files are shared
by all of them: what they keep in globals needs a lock. A stream may be used by several threads, one that receives and
any number that send, so that a handler can send to the clients of others::

    # chat_wsh.py
    import threading

    _members = set()
    _lock = threading.Lock()

    def web_socket_do_extra_handshake(request):
        pass

    def web_socket_transfer_data(request):
        with _lock:
            _members.add(request)
        try:
            while True:
                message = request.ws_stream.receive_message()
                if message is None:
                    return
                with _lock:
                    others = list(_members)
                for member in others:
                    try:
                        member.ws_stream.send_message(message, binary=isinstance(message, bytes))
                    except Exception:
                        pass  # that one has gone, which its own handler will find out
        finally:
            with _lock:
                _members.discard(request)

Handlers without a thread
-------------------------

A function of a handler file may be ``async``. All of those run on one asyncio loop, so that thousands of connections
cost no threads; what waits there must be awaited, and nothing may block::

    # clock_wsh.py
    import asyncio

    async def web_socket_do_extra_handshake(request):
        pass

    async def web_socket_transfer_data(request):
        receiving = asyncio.create_task(request.ws_stream.receive_message())
        ticks = 0
        while not receiving.done():
            ticks += 1
            await request.ws_stream.send_message('tick %d' % ticks)
            await asyncio.wait([receiving], timeout=1)

One task receives, any number send: ``send_message`` returns when the system has all of the message, so a client that
reads slowly is waited for by its own senders only. Hooks of pings and pongs may be ``async`` too, and files of both
kinds serve side by side. In another thread, a blocking handler for instance, the methods of such a stream wait instead
of being awaited. ``request.connection.read`` never waits here and raises ``BlockingIOError`` instead. When the server
ends, tasks that are left after the close frame 1001 are cancelled.

Subprotocols, headers, cookies
------------------------------

A client that asks for subprotocols must be given one of them, or the handshake fails with 400. There is no interface
for cookies, only headers. Extensions are agreed on unless a handler removes them. ``--origin`` lets in the pages of
some origins only, for all handlers; a handler may look for itself::

    # login_wsh.py
    from http.cookies import SimpleCookie

    def web_socket_do_extra_handshake(request):
        if request.ws_origin not in (None, 'http://localhost:9998'):
            raise ValueError('pages of %s have no business here' % request.ws_origin)
        for protocol in request.ws_requested_protocols or []:
            if protocol in ('chat.v2', 'chat.v1'):
                request.ws_protocol = protocol
                break
        cookies = SimpleCookie(request.headers_in.get('Cookie', ''))
        request.is_known = 'id' in cookies
        if not request.is_known:
            request.extra_headers.append(('Set-Cookie', 'id=1234; HttpOnly; SameSite=Strict'))
        request.ws_extension_processors = []  # no compression

    def web_socket_transfer_data(request):
        request.ws_stream.send_message('Welcome back' if request.is_known else 'Welcome')

Closing
-------

``request.ws_stream.close_connection(code, reason)`` closes and waits for the client's answer. What a handler lets
through closes like this:

``stream.ConnectionTerminatedException``
    Not at all: the client has gone.
``stream.InvalidFrameException``
    1002: the client broke the protocol.
``stream.UnsupportedFrameException``
    1003: a reserved bit or opcode.
``stream.InvalidUTF8Exception``
    1007: a text was not UTF-8.
``stream.MessageTooBigException``
    1009: a message was longer than ``--max-message-bytes``.
``stream.BadOperationException``
    1011: the handler did what cannot be done now, such as sending after it has closed.
``handshake.AbortedByUserException``
    Without a close frame: the connection just ends.
Anything else
    The same, and with a traceback in the log.

A handler that has its own idea of a good end::

    # polite_wsh.py
    def web_socket_do_extra_handshake(request):
        pass

    def web_socket_transfer_data(request):
        message = request.ws_stream.receive_message()
        if message is not None:
            request.ws_stream.close_connection(4000, 'I have heard ' + message)

    def web_socket_passive_closing_handshake(request):
        if request.ws_close_code == 1005:  # the client gave none
            return None, None
        return request.ws_close_code, request.ws_close_reason

TLS
---

``-t -k key.pem -c certificate.pem`` serves ``wss:`` instead. A certificate to try it with, for a browser that is told
to trust it::

    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem

When something does not work
----------------------------

``--log-level=debug`` says why a handshake failed, what was agreed on and what a handler raised; ``-l FILE`` writes the
log into a file. A handler may log by itself, by ``logging.getLogger('my.handler').info(...)``. 403 is an exception in
``web_socket_do_extra_handshake``, 400 a request that is none for a WebSocket or a subprotocol that was not chosen, 404
a path that no file has.

Misbehaving on purpose
----------------------

Who tests clients needs servers that do what no server should. ``request.connection.write`` sends bytes as they are,
and ``stream`` makes frames, wrong ones too. Where the handler has sent a close frame by hand, it says so, or another
one follows::

    # wrong_wsh.py
    from mod_pywebsocket import common, stream
    from mod_pywebsocket.handshake import AbortedByUserException

    def web_socket_do_extra_handshake(request):
        if request.uri.endswith('?answer'):
            request.connection.write(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: nonsense\r\n\r\n')
            raise AbortedByUserException('that was the whole answer')

    def web_socket_transfer_data(request):
        # A reserved bit is set, and the text is not UTF-8.
        header = stream.create_header(common.OPCODE_TEXT, 2, fin=1, rsv1=0, rsv2=1, rsv3=0, mask=False)
        request.connection.write(header + b'\xc3\x28')
        # A ping in fragments, which is not allowed.
        request.connection.write(stream.create_text_frame('half', opcode=common.OPCODE_PING, fin=0))
        body = stream.create_closing_handshake_body(common.STATUS_GOING_AWAY, 'enough')
        request.connection.write(stream.create_close_frame(body))
        request.server_terminated = True

Types
-----

Type checkers know all of it. What a handler is called with is a ``mod_pywebsocket.Request``, or in an ``async``
function a ``mod_pywebsocket.AsyncRequest``::

    # typed_wsh.py
    from mod_pywebsocket import Request

    def web_socket_do_extra_handshake(request: Request) -> None:
        pass

    def web_socket_transfer_data(request: Request) -> None:
        request.ws_stream.send_message(request.uri)

The same modules, and the same objects in them, are importable as ``pywebsocket3``.
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
    get_unparsed_uri = get_uri
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
