"""The wheels: built with and without an interpreter, and from the source distribution alone."""

import os
import subprocess
import sys
import zipfile

import pytest

from servers import ROOT

ENVIRONMENT = dict(os.environ, PYTHON=sys.executable, CARGO_TARGET_DIR=str(ROOT / "target"))


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the source distribution and a wheel for a Python that is not here."""
    folder = tmp_path_factory.mktemp("wheels")
    run(ROOT / "packaging/wheels/build.sh", "-o", folder, "-p", "dev", "3.14t")
    return folder


def test_no_interpreter_is_needed(built):
    wheel, = built.glob("*.whl")
    assert "-cp314-cp314t-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("linkspan/_linkspan.cpython-314t-") for name in names)
    assert {"mod_pywebsocket/standalone.py", "pywebsocket3/standalone.py", "linkspan/__main__.py"} <= set(names)


def test_the_source_is_enough(built, tmp_path):
    source, = built.glob("*.tar.gz")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-C", "build-args=--profile=dev", source, cwd=tmp_path)
    assert "connect" in run(python, "-m", "linkspan", "--help", cwd=tmp_path)
    said = run(python, "-c", "import mod_pywebsocket.stream as a, pywebsocket3.stream as b, six; print(a.Stream is b.Stream)",
               cwd=tmp_path)
    assert said == "True\n"
