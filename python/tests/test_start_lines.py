"""The command lines by which browser engines' tests start the server, with their layouts of files."""

import signal
import subprocess
import sys

import pytest
from conftest import ECHO, PATIENCE, Server, close, head, text

import mod_pywebsocket
import pywebsocket3

PACKAGES = pytest.mark.parametrize('package', [mod_pywebsocket, pywebsocket3], ids=lambda package: package.__name__)


class Started(Server):
    """A server of a whole command line, with ``--port 0`` somewhere in it; its log is where it says."""

    def __init__(self, command, log_path):
        self.log_path = log_path
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        line = self.process.stdout.readline().decode()
        assert line.startswith('listening on '), (line, self.log())
        self.port = int(line.rstrip('/\n').rpartition(':')[2])


@pytest.fixture
def launch():
    servers = []

    def launch_server(command, log_path):
        servers.append(Started(list(map(str, command)), log_path))
        return servers[-1]

    yield launch_server
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def layout(readable_path):
    """A tree of tests: pages, handlers below them, scripts, an alias."""
    tests = readable_path / 'websocket' / 'tests'
    (tests / 'hybi').mkdir(parents=True)
    # The handlers' text is UTF-8, whatever the locale says.
    (tests / 'hybi' / 'echo_wsh.py').write_text(ECHO + '\n_WORD = "écho"\n', encoding='utf-8')
    (tests / 'hybi' / 'page.html').write_text('<p>page')
    (tests / 'script.py').write_text('#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\nscript"\n')
    (tests / 'script.py').chmod(0o755)
    (readable_path / 'handlers.map').write_text('# aliases\n/alias /websocket/tests/hybi/echo\n')
    return readable_path


def serves(server, resource, context=None):
    with server.connect(context) as client:
        client.upgrade(resource)
        client.send(text('hi') + close(1000))
        return client.read_frame() == (0x81, b'hi') and client.read_close() == 1000 and client.read_all() == b''


def page(server, path, context=None):
    with server.connect(context) as client:
        client.send(head(path, protocol='HTTP/1.0', drop=['Upgrade', 'Connection']))
        return client.read_all()


@PACKAGES
def test_chromium(package, layout, launch):
    tests = layout / 'websocket' / 'tests'
    server = launch([
        sys.executable, '-u', package.__path__[0] + '/standalone.py', '--server-host', 'localhost', '--port', '0',
        '--document-root', layout, '--scan-dir', tests, '--cgi-paths', '/websocket/tests',
        '--log-file', layout / 'pywebsocket.log', '--websock-handlers-map-file', layout / 'handlers.map',
        '--handler-encoding', 'utf-8'], layout / 'pywebsocket.log')
    assert serves(server, '/websocket/tests/hybi/echo')
    assert serves(server, '/alias')
    assert page(server, '/websocket/tests/hybi/page.html').endswith(b'<p>page')
    assert page(server, '/websocket/tests/script.py').endswith(b'\r\n\r\nscript')
    assert server.log() == ''
    server.stop(signal.SIGTERM)


def test_chromium_makes_scripts_of_the_root(layout, launch):
    (layout / 'root.py').write_text('#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\nroot"\n')
    (layout / 'root.py').chmod(0o755)
    server = launch([
        sys.executable, '-u', mod_pywebsocket.__path__[0] + '/standalone.py', '--server-host', 'localhost', '--port',
        '0', '--document-root', layout, '--cgi-paths', '/', '--log-file', layout / 'log',
        '--handler-encoding', 'utf-8'], layout / 'log')
    assert page(server, '/root.py').endswith(b'\r\n\r\nroot')
    # Directly in the root only.
    assert page(server, '/websocket/tests/script.py').endswith((layout / 'websocket/tests/script.py').read_bytes())
    assert serves(server, '/websocket/tests/hybi/echo')


@PACKAGES
def test_webkit_with_and_without_tls(package, layout, launch, certificates, trusting):
    # Key and certificate are in one file, which both options name.
    both = layout / 'both.pem'
    with open(certificates['server']) as certificate, open(certificates['server_key']) as key:
        both.write_text(key.read() + certificate.read())
    for tls, context in (([], None), (['-t', '-k', both, '-c', both], trusting)):
        server = launch([
            sys.executable, '-u', package.__path__[0] + '/standalone.py', '--server-host', 'localhost', '--port', '0',
            '--document-root', layout, '--scan-dir', layout / 'websocket' / 'tests',
            '--cgi-paths', '/websocket/tests', '--log-file', layout / 'log',
            '--websock-handlers-map-file', layout / 'handlers.map', *tls], layout / 'log')
        assert serves(server, '/alias', context)
        assert page(server, '/websocket/tests/script.py', context).endswith(b'\r\n\r\nscript')
        assert server.log() == ''


WRAPPER = '''
import os, signal, sys

def stop(number, frame):
    print('stopped by the wrapper', flush=True)
    sys.exit(7)

signal.signal(signal.SIGINT, stop)
sys.path = [{path!r}] + sys.path
from {package} import standalone
standalone._main()
'''


@PACKAGES
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_geckos_wrapper(package, number, layout, launch):
    program = layout / 'wrapper.py'
    program.write_text(WRAPPER.format(path=str(layout), package=package.__name__))
    server = launch([
        sys.executable, program, '-H', '127.0.0.1', '-p', '0', '-w', layout / 'websocket', '-l', layout / 'log',
        '--log-level=debug', '--allow-handlers-outside-root-dir'], layout / 'log')
    assert serves(server, '/tests/hybi/echo')
    assert '[DEBUG]' in server.log()
    server.process.send_signal(number)
    said = server.process.stdout.read()
    status = server.process.wait(PATIENCE)
    # Its own handler of SIGINT stays.
    assert (status, said) == ((7, b'stopped by the wrapper\n') if number == signal.SIGINT else (-number, b''))
