#!/usr/bin/env python3
"""Prints what a published message costs topic servers per delivery, side by side: 1 publisher, 1000 subscribers.

    fanout.py NAME=COMMAND...

COMMAND starts a server that prints "listening on ws://127.0.0.1:PORT/", subscribes who connects to /sub, publishes to
them what others say, and serves until it is ended.

User-space instructions as in measure.py: by callgrind, two runs of different length. System calls by strace and CPU time by
the system's own account, each the median of five interleaved rounds. Both depend on how many messages the publisher had
under way when the server looked, which is chance: they repeat to about a quarter.
"""

import re
import shlex
import statistics
import sys
import tempfile

from measure import COPIES, running, wsload

SUBSCRIBERS, DEPTH, SIZE = 1000, 4, 125
INSTRUCTIONS, SYSTEM_CALLS = (60_000, 240_000), 500_000
ROUNDS = 5


def fanout(address, **options):
    return wsload("fanout", address, c=SUBSCRIBERS, d=DEPTH, s=SIZE, **options)


def instructions(command):
    """Per delivery: the longer run without the shorter one."""
    (few, few_deliveries), (many, many_deliveries) = (under_callgrind(command, count) for count in INSTRUCTIONS)
    return (many - few) / (many_deliveries - few_deliveries)


def under_callgrind(command, count):
    with tempfile.NamedTemporaryFile("r") as out:
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
        with running([*valgrind, *command], **COPIES) as (_, address):
            deliveries = fanout(address, warmup=0, duration=500, count=count)["deliveries"]
        totals = [int(line.split()[1]) for line in open(out.name) if line.startswith(("summary:", "totals:"))]
        return totals[-1], deliveries


def system_calls(command):
    """Per delivery, those of the thousand handshakes among them."""
    with tempfile.NamedTemporaryFile("r") as out:
        strace = ["strace", "--interruptible=waiting", "--follow-forks", "--summary-only", f"--output={out.name}"]
        with running([*strace, *command]) as (_, address):
            deliveries = fanout(address, warmup=0, duration=500, count=SYSTEM_CALLS)["deliveries"]
        return int(re.search(r"(\d+) +\d* *total$", out.read(), re.MULTILINE)[1]) / deliveries


def microseconds(command):
    """CPU time per delivery."""
    with running(command) as (process, address):
        return fanout(address, warmup=0.5, duration=3, server_pid=process.pid)["server_cpu_s_per_million"]


def medians(cost, servers):
    """Of interleaved rounds."""
    rounds = [[cost(command) for command in servers.values()] for _ in range(ROUNDS)]
    return [statistics.median(one) for one in zip(*rounds)]


def main():
    servers = {name: shlex.split(command) for name, _, command in (one.partition("=") for one in sys.argv[1:])}
    if not servers or not all(servers.values()):
        print(__doc__, file=sys.stderr)
        return 2
    print(f"per delivery, 1 -> {SUBSCRIBERS}, {SIZE} B, {DEPTH} messages under way")
    print(f"{'':>24}", *(f"{name:>14}" for name in servers))
    print(f"{'user instructions':>24}", *(f"{instructions(command):>14,.0f}" for command in servers.values()), flush=True)
    calls = medians(system_calls, servers)
    print(f"{'system calls':>24}", *(f"{value:>14.3f}" for value in calls), flush=True)
    cpu = medians(microseconds, servers)
    print(f"{'CPU, microseconds':>24}", *(f"{value:>14.2f}" for value in cpu))
    return 0


if __name__ == "__main__":
    sys.exit(main())
