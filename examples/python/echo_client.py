#!/usr/bin/env python
"""An echo client made of the parts that servers are made of: the handshake by hand, then a ``Stream``.

::

    python echo_client.py -p 9998 -m Hello,World
    python echo_client.py -p 9998 -t --ca ../tls/localhost.crt --use-permessage-deflate
"""

import argparse
import base64
import logging
import os
import socket
import ssl
import sys

from mod_pywebsocket import common, stream
from mod_pywebsocket.extensions import PerMessageDeflateExtensionProcessor
from mod_pywebsocket.handshake.hybi import compute_accept, format_header

# The message after which an echo server closes.
_GOODBYE = 'Goodbye'


class SocketConnection:
    """What a stream reads from and writes to."""

    def __init__(self, sock):
        self._socket = sock
        self.remote_addr = sock.getpeername()

    def read(self, length):
        return self._socket.recv(length)

    def write(self, data):
        self._socket.sendall(data)


class Request:
    """What a stream belongs to: a place for its flags."""

    ws_version = common.VERSION_HYBI_LATEST
    ws_close_code = ws_close_reason = None

    def __init__(self, connection):
        self.connection = connection


def connect(options):
    """A socket to the server, encrypted if that is asked for."""
    sock = socket.create_connection((options.server_host, options.server_port), options.socket_timeout)
    if not options.use_tls:
        return sock
    context = ssl.create_default_context(cafile=options.ca)
    if options.ca is None:
        # This is for servers under test, whose certificates nobody has signed.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname=options.server_host)


def handshake(sock, options):
    """Asks for a WebSocket and gives the extensions that the server agrees to.

    Raises ``ConnectionError`` when the answer is not a WebSocket's.
    """
    key = base64.b64encode(os.urandom(16))
    host = options.server_host
    if options.server_port != (443 if options.use_tls else 80):
        host += ':%d' % options.server_port
    headers = [('Host', host), ('Upgrade', 'websocket'), ('Connection', 'Upgrade'),
               ('Sec-WebSocket-Version', '13'), ('Sec-WebSocket-Key', key.decode())]
    if options.origin:
        headers.append(('Origin', options.origin))
    if options.use_permessage_deflate:
        headers.append(('Sec-WebSocket-Extensions', common.PERMESSAGE_DEFLATE_EXTENSION))
    lines = ['GET %s HTTP/1.1\r\n' % options.resource] + [format_header(*header) for header in headers] + ['\r\n']
    sock.sendall(''.join(lines).encode())
    answer = b''
    # Byte by byte: what follows the head is the stream's.
    while not answer.endswith(b'\r\n\r\n'):
        byte = sock.recv(1)
        if not byte:
            break
        answer += byte
    status, _, rest = answer.decode('latin-1').partition('\r\n')
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in rest.splitlines())}
    if not status.startswith('HTTP/1.1 101 ') or fields.get('sec-websocket-accept') != compute_accept(key).decode():
        raise ConnectionError('the server answers %r' % status)
    agreed = fields.get('sec-websocket-extensions')
    return common.parse_extensions(agreed) if agreed else []


def client_stream(sock, extensions):
    """The stream of a client over a socket."""
    options = stream.StreamOptions()
    # RFC 6455 5.1: a client masks, a server does not.
    options.mask_send, options.unmask_receive = True, False
    for extension in extensions:
        # A plain offer can be answered by a plain agreement only, for which both ends do the same.
        if extension.name() != common.PERMESSAGE_DEFLATE_EXTENSION or extension.get_parameters():
            raise ConnectionError('the server answers with the extension %s' % common.format_extension(extension))
        processor = PerMessageDeflateExtensionProcessor(extension)
        processor.get_extension_response()
        processor.setup_stream_options(options)
    return stream.Stream(Request(SocketConnection(sock)), options)


def talk(ws_stream, messages, say):
    """Sends each message and waits for what comes back, then for the end."""
    for message in messages:
        ws_stream.send_message(message)
        say('Send: %s' % message)
        say('Recv: %s' % ws_stream.receive_message())
    if messages[-1] == _GOODBYE and ws_stream.receive_message() is None:
        # The stream has answered it.
        say('Recv close')
        say('Send ack')
        return
    say('Send close')
    ws_stream.close_connection()
    say('Recv ack')


def arguments():
    parser = argparse.ArgumentParser(description='Sends messages to an echo server and prints what comes back.')
    parser.add_argument('-s', '--server-host', '--server_host', default='localhost')
    parser.add_argument('-p', '--server-port', '--server_port', type=int, help='default: 80, with TLS 443')
    parser.add_argument('-o', '--origin', help='the page that a browser would tell, http://example.com')
    parser.add_argument('-r', '--resource', default='/echo')
    parser.add_argument('-m', '--message', default='Hello,Привет,你好',
                        help='with commas between several; the server closes after %s' % _GOODBYE)
    parser.add_argument('-q', '--quiet', action='store_true', help='print nothing unless it fails')
    parser.add_argument('-t', '--tls', dest='use_tls', action='store_true', help='wss instead of ws')
    parser.add_argument('--ca', metavar='FILE', help='check the server\'s certificate by this one; else it is not checked')
    parser.add_argument('-k', '--socket-timeout', '--socket_timeout', type=float, default=10, metavar='SECONDS')
    parser.add_argument('--use-permessage-deflate', '--use_permessage_deflate', action='store_true')
    parser.add_argument('--log-level', '--log_level', default='warn', choices=['debug', 'info', 'warn', 'error', 'critical'])
    options = parser.parse_args()
    if options.server_port is None:
        options.server_port = 443 if options.use_tls else 80
    return options


def main():
    options = arguments()
    logging.basicConfig(level=options.log_level.upper())
    try:
        with connect(options) as sock:
            ws_stream = client_stream(sock, handshake(sock, options))
            talk(ws_stream, options.message.split(','), (lambda line: None) if options.quiet else print)
    except (OSError, stream.ConnectionTerminatedException) as error:
        sys.exit('echo_client: %s:%d: %s' % (options.server_host, options.server_port, error))


if __name__ == '__main__':
    main()
