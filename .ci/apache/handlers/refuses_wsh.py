"""Refuses in the way that the query names."""

from mod_pywebsocket.handshake import HandshakeException


def web_socket_do_extra_handshake(request):
    wish = request.ws_resource.partition('?')[2]
    if wish == 'ValueError':
        raise ValueError('no')
    if wish == 'HandshakeException':
        raise HandshakeException('no', status=401)
    if wish == 'protocol':
        request.ws_requested_protocols = ['one']
    if wish == 'unasked':
        request.ws_protocol = 'one'
    if wish == 'write':
        request.connection.write('a str')


def web_socket_transfer_data(request):
    pass
