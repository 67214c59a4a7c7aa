"""Runs a CGI script for a request (RFC 3875): a process of its own, and its output as the answer."""

import os
import subprocess
import sys

# What a script may know of the server's own environment.
_INHERITED = ('PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'SYSTEMROOT', 'PYTHONPATH', 'PYTHONIOENCODING')
# The most that a request's body may hold, in bytes: it is read before the script runs.
_MAX_BODY_BYTES = 16 << 20


def run_script(handler, script, url, query):
    """Answers the request of ``handler`` by what the file ``script`` prints.

    ``url`` is the script's path in the target, ``query`` what follows the question mark.
    """
    body = _body(handler)
    if body is None:
        return
    handler.send_response(200, 'Script output follows')
    handler.flush_headers()
    options = {}
    if hasattr(os, 'getuid') and os.getuid() == 0:
        options = {'user': 'nobody', 'extra_groups': []}
    command = [script]
    if script.lower().endswith('.py') and not os.access(script, os.X_OK):
        command.insert(0, sys.executable)
    if '=' not in query and query:
        command.append(query.replace('+', ' '))
    try:
        finished = subprocess.run(command, input=body, stdout=subprocess.PIPE, env=_environment(handler, url, query),
                                  **options)
    except OSError as e:
        handler.log_error('The script %s does not start: %s', script, e)
        return
    handler.wfile.write(finished.stdout)
    if finished.returncode != 0:
        handler.log_error('The script %s exits with status %d', script, finished.returncode)


def _body(handler):
    """What the request carries; ``None`` when it was refused."""
    try:
        missing = int(handler.headers.get('Content-Length') or 0)
    except ValueError:
        missing = -1
    if missing < 0:
        handler.send_error(400, 'Bad Content-Length')
        return None
    if missing > _MAX_BODY_BYTES:
        handler.send_error(413)
        return None
    body = bytearray()
    while len(body) < missing:
        part = handler.rfile.read(missing - len(body))
        if not part:
            break
        body += part
    return bytes(body)


def _environment(handler, url, query):
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    headers = handler.headers
    environment.update({
        'SERVER_SOFTWARE': handler.version_string(),
        'SERVER_NAME': handler.server.server_name,
        'GATEWAY_INTERFACE': 'CGI/1.1',
        'SERVER_PROTOCOL': handler.protocol_version,
        'SERVER_PORT': str(handler.server.server_port),
        'REQUEST_METHOD': handler.command,
        'PATH_INFO': '',
        'PATH_TRANSLATED': handler.translate_path(''),
        'SCRIPT_NAME': url,
        'QUERY_STRING': query,
        'REMOTE_ADDR': handler.client_address[0],
        'CONTENT_TYPE': headers.get('Content-Type') or 'text/plain',
    })
    if headers.get('Content-Length'):
        environment['CONTENT_LENGTH'] = headers.get('Content-Length')
    for name, value in headers.items():
        if name.lower() in ('content-type', 'content-length', 'proxy', 'authorization'):
            # The first two have names of their own; HTTP_PROXY would be taken for the proxy to use.
            continue
        key = 'HTTP_' + name.upper().replace('-', '_')
        environment[key] = environment[key] + ',' + value if key in environment else value
    return environment
