"""The handler files of pywebsocket3, on a port that is printed. Options are those of its stand-alone server."""

import sys

from pywebsocket3 import standalone

options, _ = standalone._parse_args_and_config(sys.argv[1:])
# What its own main function sets.
options.cgi_directories = []
options.is_executable_method = None
server = standalone.WebSocketServer(options)
print('listening on ws://127.0.0.1:%d/' % server._sockets[0][0].getsockname()[1], flush=True)
server.serve_forever()
