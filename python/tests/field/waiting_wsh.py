"""Hooks that keep their client waiting: for the client's end, for another client, for good."""

import threading

from mod_pywebsocket.handshake import AbortedByUserException

_left, _woken, _closing = threading.Event(), threading.Event(), threading.Event()


def _wish(request):
    return request.ws_resource.partition('?')[2]


def web_socket_do_extra_handshake(request):
    if _wish(request) == 'stall':
        while request.connection.read(4096):
            pass
        _left.set()
        raise AbortedByUserException('the client has given up')
    if _wish(request) == 'until-left':
        _left.wait(20)
    elif _wish(request) == 'until-woken':
        _woken.wait(20)
    elif _wish(request) == 'wake':
        _woken.set()


def web_socket_transfer_data(request):
    if _wish(request) == 'until-left':
        request.ws_stream.send_message('left' if _left.is_set() else 'not left')
    elif _wish(request) == 'release':
        _closing.set()
    else:
        request.ws_stream.receive_message()


def web_socket_passive_closing_handshake(request):
    if _wish(request) == 'late-close':
        # The client waits for its answer until another one has come by.
        _closing.wait(20)
        return 3000, 'late'
    if _wish(request) == 'slow-end':
        # An answer by hand, and the end of the connection only later.
        request.connection.write(b'\x88\x02\x03\xe8')
        _closing.wait(20)
        raise AbortedByUserException('slow enough')
    return request.ws_close_code, request.ws_close_reason
