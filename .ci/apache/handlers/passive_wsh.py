"""Answers a client's close as the query says."""


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    assert request.ws_stream.receive_message() is None
    assert request.client_terminated and request.server_terminated


def web_socket_passive_closing_handshake(request):
    assert (request.ws_close_code, request.ws_close_reason) == (1000, 'bye')
    return {'none': (None, None), 'other': (4000, 'other'), '1005': (1005, '')}[request.ws_resource.partition('?')[2]]
