"""The module as it is installed, with the files that a2enmod enables, and as apxs makes it."""

import pathlib
import re
import shutil
import subprocess

import pytest

from client import connect
from conftest import echo, folder
from httpd import wait_for
from readable import EXAMPLES
from servers import ROOT

FOLDER = ROOT / "bindings/apache"


def installed(prefix, *components):
    for component in components:
        subprocess.run(["cmake", "--install", ROOT / "build", "--prefix", prefix, "--component", component], check=True,
                       stdout=subprocess.DEVNULL)


def echoes(server, library):
    """A socket says what it is told, on modules and a library that are below this folder and nowhere else."""
    with connect(server) as socket:
        socket.send("installed")
        assert socket.recv() == "installed"
    child = wait_for(server.children, 10, "no child")[0]
    with open(f"/proc/{child}/maps") as maps:
        used = {line.split()[-1] for line in maps if "linkspan" in line}
    assert {str(path) for path in library.rglob("*linkspan.so*") if not path.is_symlink()} <= used
    assert not any(path.startswith(str(ROOT)) for path in used)


def test_the_installed_module_is_found_by_its_load_file(apache, tmp_path):
    # Apache's children are nobody, and read the library before they are.
    installed(tmp_path, "library", "apache")
    available = tmp_path / "etc/apache2/mods-available"
    server = apache(f"Include {available}/linkspan.conf\n" + echo(), module=f"Include {available}/linkspan.load")
    echoes(server, tmp_path)


def test_the_installed_module_for_python_brings_its_package_along(apache):
    with folder() as prefix:
        installed(prefix, "library", "apache", "apache_python")
        available = pathlib.Path(prefix) / "etc/apache2/mods-available"
        server = apache(f"Include {available}/linkspan_python.load\nInclude {available}/linkspan_python.conf\n"
                        f"LinkspanPythonHandlerRoot {EXAMPLES}\n"
                        "<Location />\nSetHandler linkspan\nLinkspanHandler python\n</Location>\n",
                        module=f"Include {available}/linkspan.load")
        echoes(server, pathlib.Path(prefix))


@pytest.fixture
def commands():
    """The README's lines for apxs."""
    lines = re.findall(r"^apxs .*$", (FOLDER / "README.md").read_text(), re.M)
    assert len(lines) == 2
    return lines


def test_apxs_makes_and_installs_the_module_as_the_readme_says(apache, commands, tmp_path, monkeypatch):
    prefix, modules, sources = (tmp_path / name for name in ("prefix", "modules", "sources"))
    modules.mkdir()
    shutil.copytree(FOLDER, sources)
    installed(prefix, "library", "dev")
    library = next(prefix.rglob("liblinkspan.so.1")).parent
    monkeypatch.setenv("PKG_CONFIG_PATH", str(library / "pkgconfig"))
    # As ldconfig would tell of a library that is where the system looks.
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    monkeypatch.delenv("CFLAGS", raising=False)
    making, installing = commands
    for command in (making, installing.replace("apxs ", f"apxs -S LIBEXECDIR={modules} ")):
        done = subprocess.run(command, shell=True, cwd=sources, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        assert not re.search(r":\d+: warning: ", done.stdout), done.stdout
    module = modules / "mod_linkspan.so"
    # The library's threads outlive a reading of the configuration.
    assert "NODELETE" in subprocess.run(["readelf", "-d", module], check=True, capture_output=True, text=True).stdout
    shutil.rmtree(sources)
    echoes(apache(echo(), module=f"LoadModule linkspan_module {module}"), tmp_path)
