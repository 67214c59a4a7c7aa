"""The stubs say what the modules have, all of them are shipped, and both packages have the same ones."""

import ast
import importlib.metadata
import subprocess
import sys
import tarfile

import pytest

from servers import ROOT

PACKAGES = ["linkspan", "mod_pywebsocket", "pywebsocket3"]
# What is under another name in the older or the newer package.
RENAMED = {"_stream_base": "_stream_exceptions", "_stream_hybi": "stream", "handshake/_base": "handshake/base"}


def stubs(package):
    """The names of a package's stubs, without the suffix."""
    directory = ROOT / "python" / package
    return {str(path.relative_to(directory))[:-len(".pyi")] for path in directory.rglob("*.pyi")}


def public(name):
    return not name.rpartition("/")[2].startswith("_") or name.endswith("__init__") or name in RENAMED


def test_the_stubs_fit_the_modules():
    ended = subprocess.run([sys.executable, "-m", "mypy.stubtest", "--allowlist", ROOT / ".ci/typing/allow.txt",
                            *PACKAGES], capture_output=True, text=True, cwd=ROOT / ".ci")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout.split(" modules")[0].rpartition(" ")[2]) > 30, ended.stdout


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_every_public_module_has_a_stub(package):
    directory = ROOT / "python" / package
    modules = {str(path.relative_to(directory))[:-len(".py")] for path in directory.rglob("*.py")}
    assert {name for name in modules if public(name)} <= stubs(package)


def names(stub):
    """What a stub defines or passes on."""
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname for alias in node.names if alias.asname)


@pytest.mark.parametrize("name", sorted(name for name in stubs("mod_pywebsocket") if public(name)))
def test_the_newer_package_has_the_same_names(name):
    real = RENAMED.get(name, name)
    module = ".".join(["mod_pywebsocket", *real.split("/")]).replace(".__init__", "")
    imports = [node for node in ast.parse((ROOT / "python/pywebsocket3" / f"{name}.pyi").read_text()).body
               if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in imports} == {module}
    taken = {item.name for node in imports for item in node.names}
    # Not the types that are the stub's own.
    wanted = {item for item in names(ROOT / "python/mod_pywebsocket" / f"{real}.pyi")
              if hasattr(importlib.import_module(module), item)}
    if "*" in taken:
        wanted = {item for item in wanted if item.startswith("_")}
    assert wanted == taken - {"*"}


def test_the_wheel_has_all_of_them():
    shipped = {str(path) for path in importlib.metadata.files("linkspan")}
    assert "mod_pywebsocket/stream.py" in shipped, "linkspan is not installed from a wheel: pip install ./python"
    for package in PACKAGES:
        assert f"{package}/py.typed" in shipped
        assert {f"{package}/{name}.pyi" for name in stubs(package)} <= shipped


def test_the_source_distribution_has_all_of_them(tmp_path):
    subprocess.run([sys.executable, "-m", "maturin", "sdist", "-m", ROOT / "python/Cargo.toml", "-o", tmp_path],
                   check=True, capture_output=True)
    archive, = tmp_path.glob("linkspan-*.tar.gz")
    with tarfile.open(archive) as tar:
        shipped = tar.getnames()
    for package in PACKAGES:
        for wanted in [f"{package}/py.typed", *(f"{package}/{name}.pyi" for name in stubs(package))]:
            assert any(name.endswith("/" + wanted) for name in shipped), wanted
