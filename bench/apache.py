#!/usr/bin/env python3
"""What a WebSocket costs inside Apache: memory of an idle one, and CPU of an echoed message, in every way that
mod_linkspan carries it and beside mod_proxy.

    bench/apache.py [idle] [cpu]       needs the module and the C examples in build, and websockets in the Python
"""

import contextlib
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".ci"), str(ROOT / ".ci" / "apache")]

from client import BINARY, Raw, frame  # noqa: E402
from conftest import echo, running  # noqa: E402
from httpd import MODULES  # noqa: E402
from servers import announcing  # noqa: E402

CERTIFICATE = ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"
ONE_CHILD = """
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
MaxSpareThreads 25
AsyncRequestWorkerFactor 400
LogLevel warn
"""


@contextlib.contextmanager
def child(options):
    """A server with one child: both."""
    with running(CERTIFICATE, ONE_CHILD + options) as server:
        yield server, server.children()[0]


def resident(process):
    """Kilobytes in memory."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def seconds(process):
    """CPU that it has used."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(name, options, count, tls=False):
    with child(echo(options)) as (server, process):
        for _ in range(50):
            Raw(server, tls=tls).close()
        time.sleep(2)  # until those are forgotten
        before, threads = resident(process), len(os.listdir(f"/proc/{process}/task"))
        sockets = [Raw(server, tls=tls) for _ in range(count)]
        each = (resident(process) - before) / count
        after = len(os.listdir(f"/proc/{process}/task"))
        print(f"{name}: {count} sockets, {each:.2f} kB each, {threads} threads before and {after} with them", flush=True)
        for socket in sockets:
            socket.close()


def cpu(name, options, path="/echo", rounds=4000, count=20):
    with child(options) as (server, process):
        sockets = [Raw(server, path) for _ in range(count)]
        message = frame(BINARY, b"x" * 64)

        def play(times):
            for _ in range(times):
                for socket in sockets:
                    socket.send(message)
                for socket in sockets:
                    socket.receive()

        play(50)
        before = seconds(process)
        play(rounds)
        each = (seconds(process) - before) / (rounds * count)
        print(f"{name}: {rounds * count} echoes of 64 bytes, {each * 1e6:.1f} us each", flush=True)
        for socket in sockets:
            socket.close()


def measure_idle():
    idle("suspend, log at the end", "", 2000)
    for count in (2000, 9000):
        idle("suspend, log at the upgrade", "LinkspanAccessLog upgrade", count)
        idle("detach", "LinkspanDetach Auto", count)
    idle("suspend, wss, log at the upgrade", "LinkspanAccessLog upgrade", 1000, tls=True)


def measure_cpu():
    cpu("suspend", echo())
    cpu("suspend, log at the upgrade", echo("LinkspanAccessLog upgrade"))
    cpu("detach", echo("LinkspanDetach Auto"))
    cpu("sync", "LinkspanMode sync\n" + echo())
    with announcing(ROOT / "build/examples/c/echo_server", "--port", "0") as (url, _):
        port = url.rstrip("/").rsplit(":", 1)[1]
        cpu("tunnel", f"<Location /tunnel>\nSetHandler linkspan\nLinkspanHandler tunnel {url}\n</Location>", "/tunnel")
        cpu("mod_proxy, upgrade=websocket",
            f"LoadModule proxy_module {MODULES}/mod_proxy.so\nLoadModule proxy_http_module {MODULES}/mod_proxy_http.so\n"
            f"ProxyPass /proxy http://127.0.0.1:{port}/ upgrade=websocket", "/proxy")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["idle", "cpu"]
    if "idle" in wanted:
        measure_idle()
    if "cpu" in wanted:
        measure_cpu()
