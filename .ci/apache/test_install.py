"""The module as it is installed, with the files that a2enmod enables."""

import subprocess

from client import connect
from conftest import echo
from httpd import wait_for
from servers import ROOT


def test_the_installed_module_is_found_by_its_load_file(apache, tmp_path):
    # Apache's children are nobody, and read the library before they are.
    for component in ("library", "apache"):
        subprocess.run(["cmake", "--install", ROOT / "build", "--prefix", tmp_path, "--component", component], check=True,
                       stdout=subprocess.DEVNULL)
    available = tmp_path / "etc/apache2/mods-available"
    server = apache(f"Include {available}/linkspan.conf\n" + echo(), module=f"Include {available}/linkspan.load")
    with connect(server) as socket:
        socket.send("installed")
        assert socket.recv() == "installed"
    child = wait_for(server.children, 10, "no child")[0]
    with open(f"/proc/{child}/maps") as maps:
        used = {line.split()[-1] for line in maps if "linkspan" in line}
    assert {str(path) for path in tmp_path.rglob("*linkspan.so*") if not path.is_symlink()} <= used
    assert not any(path.startswith(str(ROOT)) for path in used)
