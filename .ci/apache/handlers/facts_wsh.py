"""Tells what it knows of its request."""

import json


def web_socket_do_extra_handshake(request):
    if request.ws_requested_protocols:
        request.ws_protocol = request.ws_requested_protocols[-1]
    request.before = (request.ws_resource, request.ws_version, request.ws_origin, request.ws_requested_protocols,
                      hasattr(request, 'ws_stream'), request.extra_headers)


def web_socket_transfer_data(request):
    extensions = request.ws_extensions and [one.name() for one in request.ws_extensions]
    request.ws_stream.send_message(json.dumps({
        'before': request.before, 'ws_extensions': extensions,
        'uri': request.uri, 'unparsed_uri': request.unparsed_uri, 'get_uri': request.get_uri(),
        'get_unparsed_uri': request.get_unparsed_uri(), 'method': request.method, 'get_method': request.get_method(),
        'protocol': request.protocol, 'get_protocol': request.get_protocol(), 'is_https': request.is_https(),
        'remote': request.connection.remote_addr[0], 'get_remote': request.connection.get_remote_addr()[0],
        'remote port': request.connection.remote_addr[1] > 0, 'local': len(request.connection.local_addr),
        'some': request.headers_in.get('x-some'), 'same': request.headers_in['X-Some'],
        'missing': request.headers_in['X-Missing'], 'has': 'Upgrade' in request.headers_in,
        'lines': sorted(line.decode().lower() for line in request.connection.get_memorized_lines()
                        if not line.lower().startswith(b'host:')),
        'flags': (request.client_terminated, request.server_terminated, request.ws_close_code),
    }, sort_keys=True))
    assert request.ws_stream.receive_message() is None
    assert (request.ws_close_code, request.ws_close_reason) == (1000, 'bye')
