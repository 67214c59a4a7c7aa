#!/usr/bin/env python3
"""Measures the Python server beside pywebsocket3, with one handler file, and beside picows on uvloop.

Installs pywebsocket3 and picows from PyPI, and this source tree as a release build, in two environments of one Python
under target/bench/python, and prints two tables in Markdown: what has something to reach, and all that was measured.
With --write they also take the place of the old ones in README.md, README.zh.md and bench/RESULTS.md.

CPU is user and system time of the server process by the system's own account; it and p99 are medians of interleaved
rounds. No hardware counters: user instructions are counted by callgrind in two runs of different length, of which the
difference is taken, so that start-up and end do not count. Callgrind runs one thread at a time: what threads cost that
fight for the GIL shows in CPU only.
"""

import argparse
import os
import pathlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile

import measure
from measure import COPIES, ROOT, running

HANDLERS = ROOT / "examples/python"
PLACE = ROOT / "target/bench/python"
PEERS = ["pywebsocket3==4.0.2", "picows==2.3.1", "uvloop==0.23.0"]
THEIRS, OURS, PICOWS = "pywebsocket3", "linkspan", "picows"

# Connections, messages in flight on each, bytes.
ECHOES = [(1, 1, 125), (64, 1, 125), (64, 1, 16 << 10), (16, 1, 1 << 20), (200, 16, 125)]
CONNECTS = 16
IDLE = 1000
HANDLER_FILES = 100
# Instructions of a run, about, and its messages at most: callgrind does fifty million instructions in a second.
BUDGET = 600_000_000
MOST = 12_000
# The longest that a run may take, in seconds.
PATIENCE = 60
START_UPS = 21


def shape(c, d, s):
    return f"{c}×{d} {f'{s >> 20} MiB' if s >= 1 << 20 else f'{s >> 10} KiB' if s >= 1 << 10 else f'{s} B'}"


# --- what is measured -----------------------------------------------------------


def install(python, ours):
    """The environments' interpreters: of those who are measured beside us, and of ours, which may be there already."""
    peers = environment(python, "peers", PEERS)
    return peers, ours or environment(python, "ours", [ROOT / "python"])


def environment(python, name, packages):
    path = PLACE / name / "bin/python"
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / f"{name}.log", "w") as log:
        for command in ([python, "-m", "venv", path.parents[1]], [path, "-m", "pip", "install", *packages]):
            try:
                done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode == 0
            except OSError as e:
                sys.exit(f"python.py: {python} does not run: {e.strerror}")
            if not done:
                sys.exit(f"python.py: {name} cannot be installed; see {log.name}")
    return path


def commands(peers, ours):
    options = ["-H", "127.0.0.1", "-p", "0", "-w", str(HANDLERS)]
    return {
        THEIRS: [str(peers), str(ROOT / "bench/pywebsocket3_echo.py"), *options],
        OURS: [str(ours), "-m", "mod_pywebsocket.standalone", *options],
        PICOWS: [str(peers), str(ROOT / "bench/picows_echo.py")],
    }


def timed(servers, mode, seconds, rounds, **options):
    """CPU and p99 in microseconds of each server: medians of the rounds, None when one did not finish."""
    seen = {name: [] for name in servers}
    for _ in range(rounds):
        for name, command in servers.items():
            if None not in seen[name]:
                seen[name].append(timed_once(command, mode, seconds, **options))
    return {name: None if None in rounds else tuple(statistics.median(column) for column in zip(*rounds))
            for name, rounds in seen.items()}


def timed_once(command, mode, seconds, **options):
    with running(command) as (process, address):
        status, result = measure.attempt(mode, address, max_seconds=PATIENCE, duration=seconds, path="/echo",
                                         server_pid=process.pid, **options)
        if status or result["errors"] or not result.get("messages", result.get("handshakes")):
            return None
        return result["server_stat_cpu_s_per_million"], result["p99_us"]


class Unfinished(Exception):
    """A run that came to no end under callgrind, or not in time."""


def instructions(command, mode, **options):
    """User instructions per message or connection: a longer run without a shorter one; None when one stalls."""
    try:
        return difference(command, mode, **options)
    except Unfinished:
        return None


def difference(command, mode, **options):
    c = options["c"]
    # A first, short one says how long the others may be.
    small, count = under_callgrind(command, mode, 2 * c, **options)
    large, larger_count = under_callgrind(command, mode, 4 * c, **options)
    each = max((large - small) / max(larger_count - count, 1), 1000)
    longer = min(int(BUDGET / each), MOST)
    if longer <= 8 * c:
        few, many = (large, larger_count), under_callgrind(command, mode, larger_count + 4 * c, **options)
    else:
        few, many = (under_callgrind(command, mode, longer // part, **options) for part in (4, 1))
    return (many[0] - few[0]) / (many[1] - few[1])


def under_callgrind(command, mode, count, **options):
    """The instructions of one whole run, and its messages or connections."""
    with tempfile.NamedTemporaryFile("r") as out:
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
        with running([*valgrind, *command], PYTHONHASHSEED="0", **COPIES) as (_, address):
            status, result = measure.attempt(mode, address, max_seconds=PATIENCE, warmup=0, duration=500,
                                             count=count, path="/echo", **options)
        if status or result["errors"]:
            raise Unfinished
        totals = [int(line.split()[1]) for line in open(out.name) if line.startswith(("summary:", "totals:"))]
        return totals[-1], result.get("messages", result.get("handshakes"))


def idle_bytes(command):
    with running(command) as (process, address):
        return measure.wsload("idle", address, c=IDLE, path="/echo", server_pid=process.pid)["bytes_per_connection"]


# Ends a server in the moment in which it would listen.
AT_BIND = """
import os, sys, time
def hook(event, _):
    if event == 'socket.bind':
        os.write(1, b'%d' % time.process_time_ns())
        os._exit(0)
sys.addaudithook(hook)
"""
NOTHING = "import time; print(time.process_time_ns())"


def start_up(python, package):
    """Milliseconds of CPU until a server with a hundred handlers listens, without those of an empty program."""
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "sitecustomize.py").write_text(AT_BIND)
        handlers = place / "handlers"
        handlers.mkdir()
        for number in range(HANDLER_FILES):
            (handlers / f"echo{number}_wsh.py").write_text((HANDLERS / "echo_wsh.py").read_text())
        serve = [python, "-m", f"{package}.standalone", "-H", "127.0.0.1", "-p", "0", "-w", handlers]

        def cpu(command):
            run = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(place)}, stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, timeout=PATIENCE, check=True)
            return int(run.stdout) / 1e6

        rounds = [(cpu(serve), cpu([python, "-c", NOTHING])) for _ in range(START_UPS)]
        whole, nothing = (statistics.median(column) for column in zip(*rounds))
        return whole - nothing


def measure_all(peers, ours, rounds, seconds, only):
    servers = commands(peers, ours)
    both = {name: servers[name] for name in (THEIRS, OURS)}
    # By load, what, and server; None where a run did not finish.
    measured = {}

    def wanted(load):
        return re.search(only, load)

    def keep(load, what, name, value):
        measured[load, what, name] = value
        print(f"{load}, {what}, {name}: {'not finished' if value is None else f'{value:,.2f}'}", file=sys.stderr)

    runs = [(shape(*echo), "echo", dict(zip("cds", echo))) for echo in ECHOES]
    runs.append(("connect + close", "connect", {"c": CONNECTS}))
    runs = [run for run in runs if wanted(run[0])]
    for load, mode, options in runs:
        for name, figures in timed(both, mode, seconds, rounds, **options).items():
            cpu, p99 = figures or (None, None)
            keep(load, "CPU", name, cpu)
            keep(load, "p99", name, p99)
    if wanted("idle"):
        for name, command in both.items():
            keep("idle", "bytes", name, idle_bytes(command))
    if wanted("start-up"):
        for name, python, package in ((THEIRS, peers, "pywebsocket3"), (OURS, ours, "mod_pywebsocket")):
            keep("start-up", "CPU", name, start_up(python, package))
    # Last, because counting does not mind what else the machine does.
    for load, mode, options in runs:
        of = servers if load == shape(*ECHOES[0]) else both
        # One connection at a time: how many threads wait at once is chance.
        alone = options | {"c": 1} if mode == "connect" else options
        for name, command in of.items():
            finished = name == PICOWS or measured[load, "CPU", name] is not None
            keep(load, "instructions", name, instructions(command, mode, **alone) if finished else None)
    return measured


# --- tables ---------------------------------------------------------------------


# What was not to be measured, unlike what did not finish.
ABSENT = object()


def figure(value, unit=""):
    if value is ABSENT:
        return ""
    if value is None:
        return "none finished"
    return f"{value:,.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}"


def scaled(divisor, unit):
    return lambda value: figure(value if value in (None, ABSENT) else value / divisor, unit)


def time(microseconds):
    is_long = microseconds not in (None, ABSENT) and microseconds >= 1000
    return scaled(1000, " ms")(microseconds) if is_long else figure(microseconds, " µs")


def goal_rows(measured):
    """The rows that have something to reach."""
    yield "", THEIRS, OURS, "ratio", "to reach"
    yield "---", "---:", "---:", "---:", "---"

    for what, load, kind, write, goal, to in (
        ("1×1 125 B, user instructions a message", "1×1 125 B", "instructions", figure, "0.15", THEIRS),
        ("64×1 125 B, CPU a message", "64×1 125 B", "CPU", time, "0.12", THEIRS),
        ("64×1 125 B, p99", "64×1 125 B", "p99", time, "0.3", THEIRS),
        ("64×1 16 KiB, CPU a message", "64×1 16 KiB", "CPU", time, "0.01", THEIRS),
        ("64×1 16 KiB, p99", "64×1 16 KiB", "p99", time, "0.3", THEIRS),
        ("16×1 1 MiB, CPU a message", "16×1 1 MiB", "CPU", time, "3.3 ms", THEIRS),
        ("connect + close, CPU", "connect + close", "CPU", time, "0.25", THEIRS),
        ("CPU until it listens, 100 handler files", "start-up", "CPU", scaled(1, " ms"), "40 ms", THEIRS),
        ("memory of an idle connection", "idle", "bytes", scaled(1000, " kB"), "30 kB", THEIRS),
        ("1×1 125 B, user instructions; beside picows on uvloop", "1×1 125 B", "instructions", figure, "1", PICOWS),
    ):
        theirs, ours = (measured.get((load, kind, name), ABSENT) for name in (to, OURS))
        ratio = "" if {theirs, ours} & {None, ABSENT} else f"{ours / theirs:.2g}"
        yield what, write(theirs), write(ours), ratio, goal


def all_rows(measured):
    heads = [f"{what}, {name}" for what in ("instructions", "CPU", "p99") for name in (THEIRS, OURS)]
    yield "load", *heads
    yield "---", *["---:"] * len(heads)
    for load in dict.fromkeys(load for load, what, _ in measured if what == "p99"):
        yield load, *(write(measured.get((load, what, name), ABSENT))
                      for what, write in (("instructions", figure), ("CPU", time), ("p99", time))
                      for name in (THEIRS, OURS))


# README.zh.md has the same rows; numbers and names need no translation.
CHINESE = {
    "ratio": "比值",
    "to reach": "目标",
    "1×1 125 B, user instructions a message": "1×1 125 B，每条消息的用户态指令数",
    "64×1 125 B, CPU a message": "64×1 125 B，每条消息的 CPU 时间",
    "64×1 125 B, p99": "64×1 125 B，p99 延迟",
    "64×1 16 KiB, CPU a message": "64×1 16 KiB，每条消息的 CPU 时间",
    "64×1 16 KiB, p99": "64×1 16 KiB，p99 延迟",
    "16×1 1 MiB, CPU a message": "16×1 1 MiB，每条消息的 CPU 时间",
    "connect + close, CPU": "连接加关闭，CPU 时间",
    "CPU until it listens, 100 handler files": "开始监听前的 CPU 时间，100 个处理文件",
    "memory of an idle connection": "一条空闲连接的内存",
    "1×1 125 B, user instructions; beside picows on uvloop": "1×1 125 B，用户态指令数；与 uvloop 上的 picows 相比",
    "none finished": "没有完成",
}


def in_chinese(rows):
    return [[CHINESE.get(cell, cell) for cell in row] for row in rows]


def markdown(rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def replace(path, text):
    """Puts text between the two marks in a file."""
    whole = path.read_text()
    begin, end = "<!-- bench/python.py: begin -->", "<!-- bench/python.py: end -->"
    head, begin_found, rest = whole.partition(begin)
    _, end_found, tail = rest.partition(end)
    if not (begin_found and end_found):
        sys.exit(f"python.py: {path} has no {begin} … {end}")
    path.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3.11", help="interpreter of all servers (default: python3.11)")
    parser.add_argument("--ours", help="an interpreter that has this library already: nothing of ours is installed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", default="", metavar="PATTERN", help="loads to measure, a regular expression")
    parser.add_argument("--write", action="store_true", help="write the tables into the READMEs and bench/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write writes whole tables; leave --only out")
    # So that what runs is ended too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    peers, ours = install(arguments.python, arguments.ours)
    measured = measure_all(peers, ours, arguments.rounds, arguments.seconds, arguments.only)
    version = subprocess.run([ours, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    rows = list(goal_rows(measured))
    goals, all_figures = markdown(rows), markdown(all_rows(measured))
    print(f"{version}, {', '.join(PEERS)}\n\n{goals}\n\n{all_figures}")
    if arguments.write:
        replace(ROOT / "README.md", goals)
        replace(ROOT / "README.zh.md", markdown(in_chinese(rows)))
        replace(ROOT / "bench/RESULTS.md",
                f"{version}; {', '.join(PEERS)}.\n\n{goals}\n\nAll figures:\n\n{all_figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
