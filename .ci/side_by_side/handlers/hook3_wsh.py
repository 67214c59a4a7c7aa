"""What may happen in web_socket_passive_closing_handshake. The query says which of it."""

import throwing


def send_first(request):
    request.ws_stream.send_message('last words')
    return 1000, ''


def close_first(request):
    request.ws_stream.close_connection(3001, 'mine', False)
    return 3002, 'again'


def report(request):
    request.ws_stream.send_message(repr((
        request.ws_close_code, request.ws_close_reason, request.client_terminated, request.server_terminated)))
    return 1000, ''


def give(value):
    return lambda request: value


ACTIONS = {
    **throwing.ACTIONS,
    'echo': lambda request: (request.ws_close_code, request.ws_close_reason),
    'report': report,
    'normal': give((1000, '')),
    'reason': give((4999, 'r')),
    'list': give([1000, 'r']),
    '1004': give((1004, '')),
    '1016': give((1016, '')),
    '2999': give((2999, '')),
    'none-none': give((None, None)),
    'none-empty': give((None, '')),
    'none-text': give((None, 'text')),
    'normal-none': give((1000, None)),
    '1005': give((1005, '')),
    '1006': give((1006, '')),
    '1015': give((1015, '')),
    '999': give((999, '')),
    '0': give((0, '')),
    '5000': give((5000, '')),
    'float': give((1000.0, '')),
    'true': give((True, '')),
    'generator': lambda request: (part for part in (3001, 'generated')),
    'dict': give({3001: 1, 'key': 2}),
    'two-letters': give('ab'),
    'empty-code': give(('', '')),
    'long-reason': give((1000, 'x' * 124)),
    'longest-reason': give((1000, 'x' * 123)),
    'surrogate-reason': give((1000, '\ud800')),
    'none': give(None),
    'int': give(1000),
    'three': give((1, 2, 3)),
    'str-code': give(('1000', '')),
    'bytes-reason': give((1000, b'x')),
    'int-reason': give((1000, 5)),
    'send-first': send_first,
    'close-first': close_first,
}


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    while request.ws_stream.receive_message() is not None:
        pass


def web_socket_passive_closing_handshake(request):
    return ACTIONS[request.uri.partition('?')[2]](request)
