#!/usr/bin/env python
"""An echo client made of the parts that servers are made of: the handshake by hand, then a ``Stream``.

::

    python echo_client.py -p 9998 -m Hello -m World
"""

import argparse
import base64
import os
import socket

from mod_pywebsocket import common, stream
from mod_pywebsocket.handshake.hybi import compute_accept


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
        options = stream.StreamOptions()
        # RFC 6455 5.1: a client masks, a server does not.
        options.mask_send, options.unmask_receive = True, False
        self.ws_stream = stream.Stream(self, options)


def handshake(sock, host, resource):
    """Asks for a WebSocket; raises ``ConnectionError`` when the answer is not one."""
    key = base64.b64encode(os.urandom(16))
    lines = ['GET %s HTTP/1.1' % resource, 'Host: ' + host, 'Upgrade: websocket', 'Connection: Upgrade',
             'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' + key.decode(), '', '']
    sock.sendall('\r\n'.join(lines).encode())
    answer = b''
    # Byte by byte: what follows the head is the stream's.
    while not answer.endswith(b'\r\n\r\n'):
        byte = sock.recv(1)
        if not byte:
            break
        answer += byte
    status, _, headers = answer.decode('latin-1').partition('\r\n')
    fields = dict(line.lower().split(': ', 1) for line in headers.split('\r\n') if ': ' in line)
    accept = compute_accept(key).decode().lower()
    if not status.startswith('HTTP/1.1 101 ') or fields.get('sec-websocket-accept') != accept:
        raise ConnectionError('the server answers %r' % status)


def main():
    parser = argparse.ArgumentParser(description='Sends messages to an echo server and prints what comes back.')
    parser.add_argument('-s', '--server-host', default='localhost')
    parser.add_argument('-p', '--server-port', type=int, default=9998)
    parser.add_argument('-r', '--resource', default='/echo')
    parser.add_argument('-m', '--message', action='append', help='may be given several times')
    options = parser.parse_args()

    with socket.create_connection((options.server_host, options.server_port)) as sock:
        handshake(sock, '%s:%d' % (options.server_host, options.server_port), options.resource)
        ws_stream = Request(SocketConnection(sock)).ws_stream
        for message in options.message or ['Hello', 'Привет', '你好']:
            print('Send:', message)
            ws_stream.send_message(message)
            print('Recv:', ws_stream.receive_message())
        ws_stream.close_connection()
        print('Closed')


if __name__ == '__main__':
    main()
