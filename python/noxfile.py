"""The tests under every Python that the wheel is for: ``nox -f python/noxfile.py``.

A version that is not on this machine is named as skipped. Each gets a wheel of its own, built quickly and not
for speed.
"""

import glob
import os

import nox

VERSIONS = ['3.9', '3.10', '3.11', '3.12', '3.13', '3.14', '3.15', '3.14t']

nox.options.default_venv_backend = 'venv'
nox.options.error_on_missing_interpreters = False

# pyenv keeps each version in a folder of its own; its shims only answer for the one that is chosen.
os.environ['PATH'] = os.pathsep.join(
    sorted(glob.glob(os.path.expanduser('~/.pyenv/versions/3.*/bin')))
    + [folder for folder in os.environ['PATH'].split(os.pathsep) if not folder.endswith('shims')])


@nox.session(python=VERSIONS)
def tests(session):
    """All of python/tests."""
    session.install('.[test]', '--config-settings=build-args=--profile=dev')
    # From above, or the folder of the sources would stand in for what was installed.
    session.chdir('..')
    session.run('python', '-m', 'pytest', 'python/tests', *session.posargs)
