"""pywebsocket3's own test suite, unmodified, from its source distribution; and with the package's other name."""

import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

VERSION = '4.0.2'

# The suite runs the program by its path, above which it expects its own copy of the package.
PROGRAM = '''import sys
del sys.path[0]
from %s import standalone
standalone._main(sys.argv[1:])
'''

# One of its tests draws a random whole number between broken ones, which Python refuses since 3.12.
FAILS = {'test_random_section'} if sys.version_info >= (3, 12) else set()


@pytest.mark.parametrize('name', ['pywebsocket3', 'mod_pywebsocket'])
def test_all_of_it_passes(readable_path, name):
    # Scripts of the CGI test run as nobody when the server is root.
    subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary', ':all:',
                    'pywebsocket3==' + VERSION, '--dest', str(readable_path)], check=True)
    with tarfile.open(readable_path / ('pywebsocket3-%s.tar.gz' % VERSION)) as archive:
        if hasattr(tarfile, 'data_filter'):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(readable_path)
    top = readable_path / ('pywebsocket3-' + VERSION)
    shutil.rmtree(top / 'pywebsocket3')
    (top / name).mkdir()
    (top / name / 'standalone.py').write_text(PROGRAM % name)
    if name != 'pywebsocket3':
        for path in [*top.glob('test/**/*.py'), *top.glob('example/**/*.py')]:
            path.write_bytes(path.read_bytes().replace(b'pywebsocket3', name.encode('ascii')))
    # Two files that the distribution forgot.
    (top / 'test' / 'testdata' / 'README').write_text('data of the tests\n')
    (top / 'test' / 'testdata' / 'hello.pl').write_text('#!/usr/bin/perl -wT\nprint "Hello\\n";\n')
    # Its script asks for `python`, which must be one that nobody may run.
    (readable_path / 'bin').mkdir()
    (readable_path / 'bin' / 'python').symlink_to('/usr/bin/python3')

    environment = dict(os.environ, PATH='%s:%s' % (readable_path / 'bin', os.environ['PATH']))
    finished = subprocess.run([sys.executable, 'test/run_all.py'], cwd=top, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert set(re.findall(r'^(?:ERROR|FAIL): (\S+)', finished.stdout, re.MULTILINE)) == FAILS, finished.stdout
    assert re.search(r'^Ran 154 tests', finished.stdout, re.MULTILINE), finished.stdout
    assert (finished.returncode != 0) == bool(FAILS), finished.stdout
