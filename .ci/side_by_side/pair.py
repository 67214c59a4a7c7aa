"""The two servers: pywebsocket3 4.0.2 from PyPI in an environment of its own, and ours."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = '4.0.2'


def original_python():
    """The interpreter of an environment that has the original, made on first use."""
    home = ROOT / 'target' / ('pywebsocket3-%s-python%d.%d.%d' % ((VERSION,) + sys.version_info[:3]))
    python = home / 'bin' / 'python'
    if not (home / 'complete').exists():
        subprocess.run([sys.executable, '-m', 'venv', '--clear', str(home)], check=True)
        subprocess.run([str(python), '-m', 'pip', 'install', '--quiet', '--no-deps', 'pywebsocket3==' + VERSION, 'six'],
                       check=True)
        (home / 'complete').touch()
    return str(python)


def environment(**more):
    """The variables of a process whose ways shall not depend on who calls it."""
    # Not the directory of the tests, whose modules have names of others'.
    kept = {name: value for name, value in os.environ.items() if not name.startswith('PYTHON')}
    return dict(kept, PYTHONDONTWRITEBYTECODE='1', PYTHONUTF8='1', **more)


class Server:
    """One of the two, with a directory of handlers and a document root."""

    def __init__(self, python, directory, journal, *options, tls=None):
        self._journal = journal
        self._tls = tls
        # Of the clients so far.
        self._ports = set()
        self._stderr_path = journal.with_suffix('.stderr')
        with open(self._stderr_path, 'wb') as stderr:
            self._process = subprocess.Popen(
                [python, '-m', 'pywebsocket3.standalone', '-H', '127.0.0.1', '-p', '0', '-d', str(directory / 'root'),
                 '-w', str(directory / 'handlers'), '--log-level', 'debug', *map(str, options)],
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                # The handlers share a module.
                env=environment(JOURNAL=str(journal), PYTHONPATH=str(directory / 'handlers')))
        self.port = self._find_port()

    def _find_port(self):
        """What its log or ours' first line says: the sockets are bound, soon they listen."""
        end = time.monotonic() + wire.PATIENCE
        while True:
            said = self._stderr_path.read_text(errors='replace')
            match = re.search(r'Port (\d+) is assigned|listening on \S+:(\d+)/', said)
            port = match and int(match.group(1) or match.group(2))
            if port:
                try:
                    socket.create_connection(('127.0.0.1', port), 1).close()
                    return port
                except ConnectionRefusedError:
                    pass
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError('the server does not start:\n' + said)
            time.sleep(0.01)  # between two looks

    def converse(self, steps):
        """Follows the steps on a new connection: what came back, how it ended, and the client's port."""
        sock = self._fresh_socket()
        port = sock.getsockname()[1]
        sock.connect(('127.0.0.1', self.port))
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_hostname='localhost')
        client = wire.Client(sock)
        client.follow(steps)
        return client.received, client.end, port

    def _fresh_socket(self):
        """A socket at a port that no earlier conversation had: records are told apart by it."""
        while True:
            sock = socket.socket()
            sock.settimeout(wire.PATIENCE)
            sock.bind(('127.0.0.1', 0))
            port = sock.getsockname()[1]
            if port not in self._ports:
                self._ports.add(port)
                return sock
            sock.close()

    def logged(self):
        """All records of the journal so far, by the client's port."""
        records = {}
        if self._journal.exists():
            for line in self._journal.read_text().splitlines():
                record = json.loads(line)
                records.setdefault(record['port'], []).append(record)
        return records

    def stop(self):
        self._process.kill()
        self._process.wait()


def run_in_each(pythons, script, data=None):
    """What a program prints as JSON in each environment, given ``data`` as JSON."""
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(lambda python: _run(python, script, data), pythons))


def _run(python, script, data):
    finished = subprocess.run([python, '-W', 'ignore', str(script)], input=json.dumps(data), text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
