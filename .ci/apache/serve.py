"""Serves echo from Apache until it is told to end: serve.py suspend|detach|sync|worker|prefork. Prints its address."""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conftest import WAYS, echo, running  # noqa: E402
from servers import ROOT  # noqa: E402


def main(way):
    mpm, option = WAYS[way]
    files = ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"
    limits = "LinkspanMaxMessageSize 32M\nLinkspanMaxQueue 64M\nLinkspanCompression On"
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with running(files, option + "\n" + echo(limits), mpm=mpm) as server:
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main(*sys.argv[1:])
