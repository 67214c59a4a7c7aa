"""Copies of what the server's children read themselves: they are nobody, and need not reach the clone."""

import atexit
import importlib.util
import pathlib
import shutil
import tempfile

from httpd import OURS
from servers import ROOT

_PLACE = pathlib.Path(tempfile.mkdtemp(prefix="linkspan-readable-"))
atexit.register(shutil.rmtree, _PLACE, ignore_errors=True)


def _copy(source, name):
    shutil.copytree(source, _PLACE / name, ignore=shutil.ignore_patterns("__pycache__"))
    return _PLACE / name


EXAMPLES = _copy(ROOT / "examples/python", "examples")
HANDLERS = _copy(ROOT / ".ci/apache/handlers", "handlers")
# The packages that this Python has, native half and all.
PACKAGES = _PLACE / "packages"
for _name in ("linkspan", "mod_pywebsocket"):
    _copy(pathlib.Path(importlib.util.find_spec(_name).origin).parent, f"packages/{_name}")
for _one in (_PLACE, *_PLACE.rglob("*")):
    _one.chmod(_one.stat().st_mode | (0o555 if _one.is_dir() else 0o444))

MODULE = f"LoadModule linkspan_python_module {OURS}/mod_linkspan_python.so\nLinkspanPythonPath {PACKAGES}\n"
