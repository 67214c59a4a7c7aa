"""The Debian packages of Apache's modules, with a2enmod and the configuration of Debian's own package of Apache."""

import contextlib
import pathlib
import re
import shutil
import subprocess

import pytest

from client import connect
from deb import field, run
from httpd import Apache, folder
from servers import ROOT

MODULES = {"libapache2-mod-linkspan": "linkspan", "libapache2-mod-linkspan-python": "linkspan_python"}
PYTHON = "usr/share/linkspan/python/"


def module_file(module):
    return f"usr/lib/apache2/modules/mod_{module}.so"


def test_they_say_what_they_need(packages):
    apache, python = (packages[name] for name in MODULES)
    version = field(apache, "Version")
    needs = set(field(apache, "Depends").split(", "))
    assert {"apache2-api-20120211", f"liblinkspan1 (= {version})"} <= needs
    assert any(one.startswith("libc6 (>= ") for one in needs)
    assert field(apache, "Recommends") == "apache2"
    assert field(apache, "Description").startswith("WebSockets in Apache without a worker for each\n")
    needs = field(python, "Depends")
    assert f"libapache2-mod-linkspan (= {version})" in needs and re.search(r"\blibpython3\.\d+ \(>= ", needs)
    # All of it is to be had: nothing is installed.
    said = run("apt-get", "--simulate", "--no-install-recommends", "install", apache, python, packages["liblinkspan1"])
    assert all(f"Inst {name} " in said for name in MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_each_file_is_in_its_place(packages, folders, name):
    module = MODULES[name]
    inside = {str(path.relative_to(folders[name])) for path in folders[name].rglob("*") if not path.is_dir()}
    settings = {f"etc/apache2/mods-available/{module}.{kind}" for kind in ("conf", "load")}
    files = settings | {module_file(module), f"usr/share/doc/{name}/changelog.gz", f"usr/share/doc/{name}/copyright"}
    if module == "linkspan_python":
        files |= {PYTHON + str(path.relative_to(ROOT / "python"))
                  for package in ("mod_pywebsocket", "pywebsocket3") for path in (ROOT / "python" / package).rglob("*.py")}
    assert inside == files
    # What the administrator has changed stays.
    assert set(run("dpkg-deb", "-I", packages[name], "conffiles").split()) == {f"/{path}" for path in settings}
    load = (folders[name] / f"etc/apache2/mods-available/{module}.load").read_text()
    first = "# Depends: linkspan\n" if module == "linkspan_python" else ""
    assert load == f"{first}LoadModule {module}_module /{module_file(module)}\n"
    said = run("readelf", "--dynamic", "--section-headers", "--wide", folders[name] / module_file(module))
    assert "[liblinkspan.so.1]" in said and "NODELETE" in said and "RUNPATH" not in said and ".symtab" not in said


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """What is in Debian's package apache2, which has a2enmod; it is not installed, as that starts a service."""
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
    """Debian's configuration, with our packages in it, below a folder."""

    def __init__(self, place, certificate, debian, packages, site):
        super().__init__(place, certificate, "")
        self.root, self.tools = self.folder / "root", debian / "usr/sbin"
        for name in ("liblinkspan1", *MODULES):
            run("dpkg-deb", "-x", packages[name], self.root)
        self.etc = self.root / "etc/apache2"
        shutil.copytree(debian / "etc/apache2", self.etc, symlinks=True, dirs_exist_ok=True)
        self.rewrite("envvars", ("=/var/run/apache2$SUFFIX/apache2.pid", f"={self.folder}/httpd.pid"),
                     ("/var/run/apache2$SUFFIX", str(self.folder)), ("/var/lock/apache2$SUFFIX", str(self.folder)),
                     ("/var/log/apache2$SUFFIX", str(self.folder)))
        self.rewrite("mods-available/ssl.conf", ("/usr/share/apache2", str(debian / "usr/share/apache2")))
        # Of a package that this one needs.
        self.rewrite("mods-available/mime.conf", ("/etc/mime.types", "/dev/null"))
        for module in MODULES.values():
            self.rewrite(f"mods-available/{module}.load", (f"/{module_file(module)}", str(self.root / module_file(module))))
        self.rewrite("apache2.conf", ("<Directory /var/www/>", f"<Directory {self.folder}/htdocs>"))
        (self.etc / "ports.conf").write_text(f"Listen 127.0.0.1:{self.port}\nListen 127.0.0.1:{self.tls_port}\n")
        self.rewrite("sites-available/000-default.conf", ("*:80", f"127.0.0.1:{self.port}"),
                     ("/var/www/html", f"{self.folder}/htdocs"))
        self.rewrite("sites-available/default-ssl.conf", ("*:443", f"127.0.0.1:{self.tls_port}"),
                     ("/var/www/html", f"{self.folder}/htdocs"),
                     ("/etc/ssl/certs/ssl-cert-snakeoil.pem", str(certificate[0])),
                     ("/etc/ssl/private/ssl-cert-snakeoil.key", str(certificate[1])))
        (self.etc / "conf-available/site.conf").write_text(f"ServerName localhost\n{site}")
        # What Debian enables when it installs Apache, as far as this needs it.
        self.enable("a2enmod", "mpm_event", "authz_core", "dir", "reqtimeout", "ssl")
        self.enable("a2ensite", "000-default", "default-ssl")

    def rewrite(self, name, *changes):
        text = (self.etc / name).read_text()
        for old, new in changes:
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        (self.etc / name).write_text(text)

    def enable(self, tool, *names):
        return run(self.tools / tool, *names, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APACHE_CONFDIR": str(self.etc),
            "APACHE_STATE_DIRECTORY": str(self.folder / "state")})

    def command(self, *arguments):
        program = super().command()[0]
        library, = self.root.rglob("liblinkspan.so.1")
        # The path to the library as ldconfig would tell it.
        script = f'. {self.etc}/envvars && LD_LIBRARY_PATH={library.parent} exec {program} -d {self.etc} -f apache2.conf "$@"'
        return ["sh", "-c", script, "apache2", *arguments]


@pytest.fixture
def installed(packages, debian):
    certificate = ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"
    with contextlib.ExitStack() as stack:
        yield lambda site: Installed(stack.enter_context(folder()), certificate, debian, packages, site)


def becomes_fine(server, module):
    """The site is wrong until a2enmod has enabled the module."""
    fine, said = server.check()
    assert fine, said
    server.enable("a2enconf", "site")
    fine, said = server.check()
    assert not fine and "Linkspan" in said
    server.enable("a2enmod", module)
    fine, said = server.check()
    assert fine, said


def test_a2enmod_and_the_readmes_six_lines_are_all_it_needs(installed, readme):
    server = installed(readme)
    becomes_fine(server, "linkspan")
    with server:
        for tls in (False, True):
            with connect(server, tls=tls) as socket:
                assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
                for message in ("发送数据", b"\x00\xff"):
                    socket.send(message)
                    assert socket.recv() == message
    assert "exit signal" not in server.errors()


HANDLER = """
from mod_pywebsocket import common, handshake, msgutil
from pywebsocket3 import msgutil as newer, stream

assert newer is msgutil


def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    for message in iter(lambda: msgutil.receive_message(request), None):
        msgutil.send_message(request, f'{msgutil.__file__}: {message}')
"""


def test_handler_files_run_with_what_is_in_the_package(installed):
    server = installed("LinkspanPythonHandlerRoot ${APACHE_RUN_DIR}/handlers\nLinkspanHandler python\n")
    (server.folder / "handlers").mkdir()
    (server.folder / "handlers/chat_wsh.py").write_text(HANDLER)
    becomes_fine(server, "linkspan_python")
    with server:
        for tls in (False, True):
            with connect(server, "/chat", tls=tls) as socket:
                socket.send("hello")
                where, said = socket.recv().split(": ")
                assert said == "hello"
                assert pathlib.Path(where).resolve() == server.root / PYTHON / "mod_pywebsocket/msgutil.py"
                socket.close()
                assert socket.close_code == 1000
    assert "exit signal" not in server.errors()
