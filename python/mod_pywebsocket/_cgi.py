"""Runs a CGI script for a request (RFC 3875): a process of its own, and its output as the answer.

The body is in a file before the script starts, and the output leaves as it comes: nobody's size is anybody's memory.
"""

import atexit
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

# What a script may know of the server's own environment.
_INHERITED = ('PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'SYSTEMROOT', 'PYTHONPATH', 'PYTHONIOENCODING')
# The most that a request's body may hold, in bytes: it is read before the script runs.
_MAX_BODY_BYTES = 16 << 20
# How long it may take to come, in seconds, however it trickles.
_BODY_SECONDS = 120.0
# How long a script may go on when its client has said that nothing more will come, which is how most leave.
_ALONE_SECONDS = 30.0
# Of a name with anything else no variable is made: `A_B` would be taken for `A-B`, and `=` ends a name.
_HEADER_NAME = re.compile(r'[A-Za-z0-9-]+')
# These have names of their own; of the others one would be taken for the proxy to use, and one is a secret.
_NOT_TOLD = ('content-type', 'content-length', 'proxy', 'authorization')
_PIECE_BYTES = 64 << 10

# Scripts that run, each the first of its process group.
_running: 'set[subprocess.Popen[bytes]]' = set()
# They are not the child's that a handler forks.
os.register_at_fork(after_in_child=_running.clear)


def run_script(handler, script, url, query):
    """Answers the request of ``handler`` by what the file ``script`` prints.

    ``url`` is the script's path in the target, ``query`` what follows the question mark.
    """
    command, environment = _command(script, query), _environment(handler, url, query)
    if any('\0' in text for text in (*command, *environment.values())):
        handler.send_error(400, 'NUL in the request')
        return
    with tempfile.TemporaryFile() as body:
        if not _keep_body(handler, body):
            return
        body.seek(0)
        handler.send_response(200, 'Script output follows')
        handler.flush_headers()
        try:
            process = subprocess.Popen(command, stdin=body, stdout=subprocess.PIPE, env=environment,
                                       start_new_session=True, **_user())
        except OSError as e:
            handler.log_error('The script %s does not start: %s', script, e)
            return
    _running.add(process)
    try:
        why = _pass_on(handler, process)
        if why is not None:
            handler.log_error('The script %s is ended: %s', script, why)
        elif process.wait() != 0:
            handler.log_error('The script %s exits with status %d', script, process.returncode)
    finally:
        _end(process)
        process.stdout.close()
        _running.discard(process)


def _pass_on(handler, process):
    """Sends what the script prints until it has printed all; why it must not go on, if that comes first."""
    output, connection = process.stdout.fileno(), handler.connection.fileno()
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(connection, select.POLLRDHUP)
    until = None
    while True:
        events = dict(poll.poll(None if until is None else max(until - time.monotonic(), 0) * 1000))
        if output in events:
            data = os.read(output, _PIECE_BYTES)
            if not data:
                return None
            try:
                handler.wfile.write(data)
            except OSError as e:
                return 'its client has gone: %s' % e
        if events.get(connection, 0) & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            return 'its client has gone'
        if connection in events:
            # It may still read.
            until = time.monotonic() + _ALONE_SECONDS
            poll.modify(connection, 0)
        if until is not None and time.monotonic() >= until:
            return 'its client sends no more, and it does not end in %g s' % _ALONE_SECONDS


def _end(process):
    """Ends the script and what it has started, unless it has ended."""
    if process.poll() is None:
        _kill(process)
        process.wait()


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        # It has gone meanwhile.
        pass


@atexit.register
def _end_all():
    # The server goes away, and nobody would read what they print.
    for process in tuple(_running):
        _kill(process)


def _keep_body(handler, file):
    """Writes what the request carries to a file; ``False`` when it was refused."""
    headers = handler.headers
    if headers.get('Transfer-Encoding') is not None:
        # How long it is must be known before the script runs (RFC 3875 4.2); a length beside it is a lie to somebody.
        handler.send_error(411)
        return False
    lengths = set(headers.get_all('Content-Length') or ['0'])
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        handler.send_error(400, 'Bad Content-Length')
        return False
    if len(length) > 18 or int(length) > _MAX_BODY_BYTES:
        handler.send_error(413)
        return False
    missing, until = int(length), time.monotonic() + _BODY_SECONDS
    before = handler.connection.gettimeout()
    try:
        while missing:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            handler.connection.settimeout(left)
            data = handler.rfile.read(min(missing, _PIECE_BYTES))
            if not data:
                handler.send_error(400, 'The body is shorter than its Content-Length')
                return False
            file.write(data)
            missing -= len(data)
    except (TimeoutError, socket.timeout):
        # One name for both from Python 3.10 on.
        handler.send_error(408)
        return False
    finally:
        handler.connection.settimeout(before)
    return True


def _user():
    """Whom a script runs as: a server of the superuser's lends that to nobody."""
    if os.getuid() != 0:
        return {}
    import pwd
    nobody = pwd.getpwnam('nobody')
    return {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []}


def _command(script, query):
    command = [script]
    if script.lower().endswith('.py') and not os.access(script, os.X_OK):
        command.insert(0, sys.executable)
    if '=' not in query and query:
        command.append(query.replace('+', ' '))
    return command


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
        if name.lower() in _NOT_TOLD or not _HEADER_NAME.fullmatch(name):
            continue
        key = 'HTTP_' + name.upper().replace('-', '_')
        environment[key] = environment[key] + ',' + value if key in environment else value
    return environment
