"""Sets cookies while the connection opens, and tells those that the client has brought.

``/cookie?set`` sets one for a day, ``/cookie?set_httponly`` one that no script can read, and ``/cookie?clear``
takes both away.
"""

_COOKIES = {
    'set': ['foo=bar; Max-Age=86400'],
    'set_httponly': ['httpOnlyFoo=bar; Max-Age=86400; HttpOnly'],
    'clear': ['foo=; Max-Age=0', 'httpOnlyFoo=; Max-Age=0'],
}


def web_socket_do_extra_handshake(request):
    wish = request.ws_resource.partition('?')[2]
    for cookie in _COOKIES.get(wish, ()):
        # Every header of the answer that is not the handshake's own is added like this.
        request.extra_headers.append(('Set-Cookie', cookie))


def web_socket_transfer_data(request):
    request.ws_stream.send_message(request.headers_in.get('Cookie', ''))
