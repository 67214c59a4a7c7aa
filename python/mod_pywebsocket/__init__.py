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
