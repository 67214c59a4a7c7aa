"""What the program does before it listens: as little as can be, so that whoever starts it can connect soon."""

import subprocess
import sys

from conftest import ECHO, PATIENCE

# Ends the program in the moment in which it binds, and says what it has imported and opened.
_AT_BIND = '''
import sys
opened = []
def hook(event, args):
    if event == 'open':
        opened.append(str(args[0]))
    elif event == 'socket.bind':
        import os
        os.write(1, '\\n'.join([' '.join(sys.modules), *opened]).encode())
        os._exit(0)
before = set(sys.modules)
sys.addaudithook(hook)
from mod_pywebsocket import standalone
standalone._main()
'''


def _at_bind(directory):
    said = subprocess.run([sys.executable, '-c', _AT_BIND, '-p', '0', '-H', 'localhost', '-w', str(directory)],
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=True).stdout.decode()
    modules, *opened = said.split('\n')
    return set(modules.split()), opened


def _of_an_empty_program():
    said = subprocess.run([sys.executable, '-c', 'import sys; print(*sys.modules)'],
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=True).stdout.decode()
    return set(said.split())


def test_it_listens_before_it_imports_what_is_slow(tmp_path):
    imported = _at_bind(tmp_path)[0] - _of_an_empty_program()
    assert 'mod_pywebsocket._listening' in imported
    # What argparse, socket and signal need; all the rest has time until somebody has connected.
    slow = {'asyncio', 'configparser', 'email', 'html', 'http', 'inspect', 'json', 'linkspan', 'logging', 'random', 'shutil',
            'ssl', 'subprocess', 'tempfile', 'threading', 'traceback', 'typing', 'urllib'}
    assert not slow & imported
    assert {name for name in imported if name.startswith('mod_pywebsocket')} == {
        'mod_pywebsocket', 'mod_pywebsocket.standalone', 'mod_pywebsocket._serving', 'mod_pywebsocket._listening'}
    assert len(imported) <= 45, sorted(imported)


def test_it_listens_before_it_reads_handlers(tmp_path):
    for number in range(100):
        (tmp_path / ('echo%d_wsh.py' % number)).write_text(ECHO)
    assert not [path for path in _at_bind(tmp_path)[1] if path.endswith('_wsh.py')]
