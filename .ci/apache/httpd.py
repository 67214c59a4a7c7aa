"""A real Apache as an ordinary process: its own folder, a free port, ended with the test."""

import contextlib
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from servers import ROOT, free_port

MODULES = pathlib.Path("/usr/lib/apache2/modules")
MPMS = ["event", "worker", "prefork"]
OURS = ROOT / "build" / "modules"


def unblocked():
    """Whatever the test holds back, Apache hears."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class Apache:
    """One server. `options` stands in the configuration of the server, `tls` in that of its wss port."""

    def __init__(self, folder, certificate, options, mpm="event", tls="", modules=(), module=None):
        self.folder = pathlib.Path(folder)
        self.port, self.tls_port = free_port(), free_port()
        self.process = None
        # At SIGTERM Apache closes the streams of its threaded workers from another thread, and dies of it when one of
        # them ends at that moment: such servers are ended gracefully. A worker holds each HTTP/2 connection, too.
        self.ends_gracefully = mpm == "worker" or "LinkspanMode sync" in options or "http2_module" in options
        loaded = ["authz_core", "ssl", "reqtimeout", "mime", *modules]
        lines = [
            f"ServerRoot {folder}", f"DefaultRuntimeDir {folder}", f"PidFile {folder}/httpd.pid",
            f"Mutex file:{folder} default", f"ErrorLog {folder}/error.log", "ServerName localhost",
            "LogLevel info linkspan:debug", f"DocumentRoot {folder}/htdocs", "TypesConfig /dev/null",
            f"LoadModule mpm_{mpm}_module {MODULES}/mod_mpm_{mpm}.so",
            *(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in loaded),
            module or f"LoadModule linkspan_module {OURS}/mod_linkspan.so",
            "User nobody\nGroup nogroup",
            'LogFormat "%m %U %>s %X %D %I %O %B in=%{linkspan-messages-in}n/%{linkspan-bytes-in}n '
            'out=%{linkspan-messages-out}n/%{linkspan-bytes-out}n code=%{linkspan-code}n clean=%{linkspan-clean}n" test',
            f"CustomLog {folder}/access.log test",
            f"Listen 127.0.0.1:{self.port}", f"Listen 127.0.0.1:{self.tls_port}",
            options,
            f"<VirtualHost 127.0.0.1:{self.tls_port}>", "SSLEngine on", f"SSLCertificateFile {certificate[0]}",
            f"SSLCertificateKeyFile {certificate[1]}", tls, "</VirtualHost>", "",
        ]
        (self.folder / "htdocs").mkdir(exist_ok=True)
        (self.folder / "htdocs" / "index.html").write_text("a plain page\n")
        # The workers are nobody: they must reach the pages.
        for one in (self.folder / "htdocs", self.folder):
            one.chmod(0o755)
        self.configuration = self.folder / "httpd.conf"
        self.configuration.write_text("\n".join(lines))

    def command(self, *arguments):
        program = shutil.which("apache2") or "/usr/sbin/apache2"
        return [program, "-f", str(self.configuration), *arguments]

    def check(self):
        """What `apache2 -t` says: whether it is content, and its words."""
        ran = subprocess.run(self.command("-t"), capture_output=True, text=True)
        return ran.returncode == 0, ran.stderr + ran.stdout

    def start(self, *wrapper, arguments=("-DFOREGROUND",)):
        self.process = subprocess.Popen([*wrapper, *self.command(*arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=(self.folder / "stderr").open("w"),
                                        preexec_fn=unblocked,
                                        # prefork signals its whole process group when it stops.
                                        start_new_session=True)
        wait_for(lambda: self.is_up(), 60, "Apache does not listen: " + self.words())
        return self

    def is_up(self):
        import socket
        if self.process.poll() is not None:
            raise RuntimeError("Apache has ended: " + self.words())
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return (self.folder / "httpd.pid").exists()
        return False

    def words(self):
        return (self.folder / "stderr").read_text() + self.errors()

    def errors(self):
        log = self.folder / "error.log"
        return log.read_text() if log.exists() else ""

    def accesses(self):
        """The lines of the access log."""
        return (self.folder / "access.log").read_text().splitlines()

    def children(self):
        """The processes that serve."""
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [int(line) for line in listed.stdout.split()]

    def signal(self, which):
        self.process.send_signal(which)

    def stop(self):
        if self.process and self.process.poll() is None and self.ends_gracefully:
            self.process.send_signal(signal.SIGWINCH)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def wait_for(condition, seconds, message):
    """Asks again and again until it is so."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, message
        time.sleep(0.02)  # between two questions


@contextlib.contextmanager
def folder():
    # Not pytest's, which only its user may enter: the server's children are nobody.
    with tempfile.TemporaryDirectory(prefix="linkspan-apache-") as made:
        pathlib.Path(made).chmod(0o755)
        yield made


@contextlib.contextmanager
def running(certificate, options="", **more):
    """A server that ends with the block; none of its children may have died."""
    with folder() as place:
        with Apache(place, certificate, options, **more) as server:
            yield server
            # Apache itself may die of a SIGTERM, even of one that a plain request was just before.
            assert "exit signal" not in server.errors(), server.errors()
        assert not server.ends_gracefully or "exit signal" not in server.errors(), server.errors()
