#!/usr/bin/env python3
"""Prints the user-space instructions per echoed message of servers, side by side.

    measure.py NAME=COMMAND...

COMMAND starts an echo server that prints "listening on ws://127.0.0.1:PORT/" and serves until it is ended.

Where the machine lets us at its hardware counters, they are read while wsload runs. Elsewhere each server runs under
callgrind, twice with different numbers of messages: the difference counts the messages alone, without start-up,
handshakes and end. Instructions repeat to a few per cent; rates on a shared machine do not, so none are printed.
The last row is the user-space memory of an idle connection, by the growth of the server's resident memory.
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
WSLOAD = ROOT / "target/release/wsload"
CONNECTIONS_DEPTH_SIZE_COUNT = [
    (1, 1, 125, 10_000),
    (64, 1, 20, 40_000),
    (64, 1, 125, 40_000),
    (64, 1, 1024, 40_000),
    (64, 1, 16 << 10, 10_000),
    (16, 1, 256 << 10, 1_000),
    (16, 1, 1 << 20, 400),
    (200, 16, 20, 100_000),
    (200, 16, 125, 100_000),
    (200, 16, 1024, 100_000),
    (200, 16, 16 << 10, 10_000),
]
IDLE_CONNECTIONS = 10_000
# Callgrind counts a "rep movsb" once per byte; glibc copies without it when told that no copy is large enough.
COPIES = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"}


@contextlib.contextmanager
def running(command, **environment):
    """Runs a server; gives its process and its address."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env=os.environ | environment)
        try:
            address = re.search(r"//(.*)/", process.stdout.readline())
            if not address:
                errors.seek(0)
                sys.exit(f"{shlex.join(command)} does not listen: {errors.read()}")
            yield process, address[1]
        finally:
            end(process)
            process.stdout.close()


def end(process):
    """Asks a process to end, and after half a minute ends it."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wsload(mode, address, **options):
    """One run of the load generator without an error; gives the object it prints."""
    status, result = attempt(mode, address, **options)
    if status or result["errors"]:
        sys.exit(f"wsload: {result}")
    return result


def attempt(mode, address, max_seconds=600, **options):
    """One run of the load generator: its status and the object it prints."""
    arguments = [part for name, value in options.items()
                 for part in (f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}", str(value))]
    run = subprocess.run([WSLOAD, mode, "--addr", address, "--max-seconds", str(max_seconds), *arguments],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return run.returncode, json.loads(run.stdout)


def by_counters(command, c, d, s):
    """What the hardware counts per message, or None where it does not."""
    with running(command) as (process, address):
        return wsload("echo", address, c=c, d=d, s=s, server_pid=process.pid).get("user_instructions_per_op")


def by_callgrind(command, c, d, s, count):
    few, many = (under_callgrind(command, c, d, s, n) for n in (count, 3 * count))
    return (many[0] - few[0]) / (many[1] - few[1])


def under_callgrind(command, c, d, s, count):
    """The instructions of one whole run, and its messages."""
    with tempfile.NamedTemporaryFile("r") as out:
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
        with running([*valgrind, *command], **COPIES) as (_, address):
            messages = wsload("echo", address, c=c, d=d, s=s, warmup=0, duration=500, count=count)["messages"]
        totals = [int(line.split()[1]) for line in open(out.name) if line.startswith(("summary:", "totals:"))]
        return totals[-1], messages


def idle(command):
    with running(command) as (process, address):
        result = wsload("idle", address, c=IDLE_CONNECTIONS, server_pid=process.pid)
        return result["bytes_per_connection"], result["bytes_per_connection_used"]


def main():
    servers = {name: shlex.split(command) for name, _, command in (one.partition("=") for one in sys.argv[1:])}
    if not servers or not all(servers.values()):
        print(__doc__, file=sys.stderr)
        return 2
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counters = by_counters(next(iter(servers.values())), 1, 1, 20) is not None
    print(f"user instructions per echoed message, by {'hardware counters' if counters else 'callgrind'}")
    print(f"{'':>16}", *(f"{name:>14}" for name in servers))
    for c, d, s, count in CONNECTIONS_DEPTH_SIZE_COUNT:
        print(f"{f'{c}x{d} {s} B':>16}", end="", flush=True)
        for command in servers.values():
            value = by_counters(command, c, d, s) if counters else by_callgrind(command, c, d, s, count)
            print(f" {value:>14,.0f}", end="", flush=True)
        print()
    figures = [idle(command) for command in servers.values()]
    print(f"{'idle bytes':>16}", *(f"{new:>14,.0f}" for new, _ in figures))
    print(f"{'after a message':>16}", *(f"{used:>14,.0f}" for _, used in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
