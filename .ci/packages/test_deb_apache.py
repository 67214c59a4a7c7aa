"""The Debian package of Apache's module, with a2enmod and the configuration of Debian's own package of Apache."""

import re
import shutil
import subprocess

import pytest

from client import connect
from deb import field, run
from httpd import Apache, folder
from servers import ROOT

NAME = "libapache2-mod-linkspan"
MODULE = "usr/lib/apache2/modules/mod_linkspan.so"


def test_it_says_what_it_needs(packages):
    version = field(packages[NAME], "Version")
    depends = field(packages[NAME], "Depends").split(", ")
    assert {"apache2-api-20120211", f"liblinkspan1 (= {version})"} <= set(depends)
    assert any(one.startswith("libc6 (>= ") for one in depends)
    assert field(packages[NAME], "Recommends") == "apache2"
    assert field(packages[NAME], "Description").startswith("WebSockets in Apache without a worker for each\n")
    # All of it is to be had: nothing is installed.
    said = run("apt-get", "--simulate", "--no-install-recommends", "install", packages[NAME], packages["liblinkspan1"])
    assert f"Inst {NAME} " in said


def test_each_file_is_in_its_place(packages, folders):
    inside = {str(path.relative_to(folders[NAME])) for path in folders[NAME].rglob("*") if not path.is_dir()}
    settings = {f"etc/apache2/mods-available/linkspan.{kind}" for kind in ("conf", "load")}
    assert inside == settings | {MODULE, f"usr/share/doc/{NAME}/changelog.gz", f"usr/share/doc/{NAME}/copyright"}
    # What the administrator has changed stays.
    assert set(run("dpkg-deb", "-I", packages[NAME], "conffiles").split()) == {f"/{path}" for path in settings}
    load = (folders[NAME] / "etc/apache2/mods-available/linkspan.load").read_text()
    assert load == f"LoadModule linkspan_module /{MODULE}\n"
    said = run("readelf", "--dynamic", "--section-headers", "--wide", folders[NAME] / MODULE)
    assert "[liblinkspan.so.1]" in said and "NODELETE" in said and "RUNPATH" not in said and ".symtab" not in said


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """What is in Debian's package apache2, which has a2enmod; it is not installed, as it starts a service."""
    place = tmp_path_factory.mktemp("apache2")
    place.chmod(0o777)  # apt downloads as a user of its own where it can
    for update in (True, False):
        done = subprocess.run(["apt-get", "download", "apache2"], cwd=place, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode == 0 or not update:
            break
        # There may be a newer one than the lists know of.
        subprocess.run(["apt-get", "update"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    package, = place.glob("*.deb")
    run("dpkg-deb", "-x", package, place / "inside")
    return place / "inside"


@pytest.fixture
def readme():
    """The README's lines for a site."""
    lines, = re.findall(r"^```\n(<Location /echo>\n.*?)^```$", (ROOT / "bindings/apache/README.md").read_text(), re.M | re.S)
    assert lines.count("\n") == 6
    return lines


class Installed(Apache):
    """Debian's configuration, with our package's in it, below a folder."""

    def __init__(self, place, certificate, debian, ours, site):
        super().__init__(place, certificate, "")
        self.etc = self.folder / "etc"
        shutil.copytree(debian / "etc/apache2", self.etc, symlinks=True)
        shutil.copytree(ours / "etc/apache2", self.etc, dirs_exist_ok=True)
        self.tools = debian / "usr/sbin"
        self.rewrite("envvars", ("=/var/run/apache2$SUFFIX/apache2.pid", f"={self.folder}/httpd.pid"),
                     ("/var/run/apache2$SUFFIX", str(self.folder)), ("/var/lock/apache2$SUFFIX", str(self.folder)),
                     ("/var/log/apache2$SUFFIX", str(self.folder)))
        self.rewrite("mods-available/ssl.conf", ("/usr/share/apache2", str(debian / "usr/share/apache2")))
        # Of a package that this one needs.
        self.rewrite("mods-available/mime.conf", ("/etc/mime.types", "/dev/null"))
        self.rewrite("mods-available/linkspan.load", (f"/{MODULE}", str(ours / MODULE)))
        (self.etc / "ports.conf").write_text(f"Listen 127.0.0.1:{self.port}\nListen 127.0.0.1:{self.tls_port}\n")
        self.rewrite("sites-available/000-default.conf", ("*:80", f"127.0.0.1:{self.port}"),
                     ("/var/www/html", f"{self.folder}/htdocs"))
        self.rewrite("sites-available/default-ssl.conf", ("*:443", f"127.0.0.1:{self.tls_port}"),
                     ("/var/www/html", f"{self.folder}/htdocs"),
                     ("/etc/ssl/certs/ssl-cert-snakeoil.pem", str(certificate[0])),
                     ("/etc/ssl/private/ssl-cert-snakeoil.key", str(certificate[1])))
        (self.etc / "conf-available/echo.conf").write_text(f"ServerName localhost\n{site}")

    def rewrite(self, name, *changes):
        text = (self.etc / name).read_text()
        for old, new in changes:
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        (self.etc / name).write_text(text)

    def enable(self, tool, *names):
        run(self.tools / tool, *names, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APACHE_CONFDIR": str(self.etc),
                                           "APACHE_STATE_DIRECTORY": str(self.folder / "state")})

    def command(self, *arguments):
        program = super().command()[0]
        script = f'. {self.etc}/envvars && exec {program} -d {self.etc} -f apache2.conf "$@"'
        return ["sh", "-c", script, "apache2", *arguments]


def test_a2enmod_and_the_readmes_six_lines_are_all_it_needs(packages, folders, debian, readme, monkeypatch):
    certificate = ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"
    library, = folders["liblinkspan1"].rglob("liblinkspan.so.1")
    # As ldconfig would tell of it.
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    with folder() as place:
        server = Installed(place, certificate, debian, folders[NAME], readme)
        # What Debian enables when it installs Apache, as far as this needs it.
        server.enable("a2enmod", "mpm_event", "authz_core", "dir", "reqtimeout", "ssl")
        server.enable("a2ensite", "000-default", "default-ssl")
        fine, said = server.check()
        assert fine, said
        server.enable("a2enconf", "echo")
        fine, said = server.check()
        assert not fine and "Linkspan" in said
        server.enable("a2enmod", "linkspan")
        fine, said = server.check()
        assert fine, said
        with server:
            for tls in (False, True):
                with connect(server, tls=tls) as socket:
                    assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
                    for message in ("发送数据", b"\x00\xff"):
                        socket.send(message)
                        assert socket.recv() == message
            assert "exit signal" not in server.errors()
