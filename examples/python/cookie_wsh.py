"""Sets cookies while the connection opens, and tells those that the client has brought.

``/cookie?session`` sets one that lasts as long as the browser is open, ``/cookie?day`` one for a day,
``/cookie?httponly`` one that no script can read, ``/cookie?clear`` takes them away.
"""

_COOKIES = {
    'session': 'session=a-word; Path=/',
    'day': 'day=a-word; Path=/; Max-Age=86400',
    'httponly': 'httponly=a-word; Path=/; HttpOnly; SameSite=Strict',
}


def web_socket_do_extra_handshake(request):
    wish = request.ws_resource.partition('?')[2]
    if wish in _COOKIES:
        request.extra_headers.append(('Set-Cookie', _COOKIES[wish]))
    elif wish == 'clear':
        for name in _COOKIES:
            request.extra_headers.append(('Set-Cookie', name + '=; Path=/; Max-Age=0'))


def web_socket_transfer_data(request):
    request.ws_stream.send_message(request.headers_in.get('Cookie', ''))
