"""Changes the flags that say who has closed, and ends in ways that tests of clients need."""

from mod_pywebsocket import common
from mod_pywebsocket.handshake import AbortedByUserException


def web_socket_do_extra_handshake(request):
    pass


def server_terminated(request):
    request.server_terminated = True


def client_terminated(request):
    request.client_terminated = True


def sends_after_server_terminated(request):
    request.server_terminated = True
    request.ws_stream.send_message('never')


def sends_after_client_terminated(request):
    request.client_terminated = True
    request.ws_stream.send_message('still')
    request.server_terminated = True


def reset(request):
    """A second close, because somebody forgot the first."""
    request.ws_stream.close_connection(wait_response=False)
    request.server_terminated = False
    request.ws_stream.send_message('after the close')
    request.ws_stream.close_connection(3000, 'again')


def closes_without_code(request):
    request.ws_stream.close_connection(None, None)


def closes_with_a_code(request):
    request.ws_stream.close_connection(common.STATUS_USER_PRIVATE_BASE, 'mine')


def pings_and_aborts(request):
    request.ws_stream.send_ping('ping')
    raise AbortedByUserException('enough')


def web_socket_transfer_data(request):
    globals()[request.ws_resource.partition('?')[2]](request)
