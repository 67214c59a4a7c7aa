#!/usr/bin/env python3
"""Prints and judges a report of the WebSocket conformance suite.

    summary.py FOLDER [--require-all] [--expect N] [--allow FILE]

FOLDER holds the index.json that wstest wrote. For each agent the outcomes are
counted, once for what happened in the cases ("behavior") and once for how the
connections ended ("close"), and each case with an outcome other than OK is
listed. OK and INFORMATIONAL are good, and UNIMPLEMENTED unless --require-all;
everything else is bad: FAILED, NON-STRICT, UNCLEAN, WRONG CODE, ...

An allow list names bad outcomes that are meant to be so, one entry a line:

    CASES  OUTCOME[,OUTCOME...]  AGENT  # the reason

CASES is a shell pattern ("3.*"), an outcome has '_' for its spaces
(WRONG_CODE). An entry is bad itself when a case that it names has none of its
outcomes any more: the list stays as short as it can be.

Exit status: 0 when nothing is bad and each agent has N cases (if that is
given), 1 when not, 2 when there is no report to judge or the call is wrong.
"""

import argparse
import collections
import fnmatch
import json
import pathlib
import sys

GOOD = {"OK", "INFORMATIONAL"}

Entry = collections.namedtuple("Entry", "cases outcomes agent reason")


def case_key(case):
    return [int(part) for part in case.split(".")]


def counted(results, field):
    counts = collections.Counter(result[field] for result in results)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())


def allow_list(path):
    """The entries of a file."""
    entries = []
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), 1):
        entry, _, reason = line.partition("#")
        words = entry.split()
        if not words:
            continue
        if len(words) != 3 or not reason.strip():
            raise ValueError(f"{path}, line {number}: not CASES OUTCOMES AGENT # REASON: {line}")
        outcomes = frozenset(outcome.replace("_", " ") for outcome in words[1].split(","))
        entries.append(Entry(words[0], outcomes, words[2], reason.strip()))
    return entries


def judge(agent, cases, options, allowed):
    """Prints the summary of one agent; returns whether all is good."""
    print(f"{agent}: {len(cases)} cases")
    print(f"  behavior: {counted(cases.values(), 'behavior')}")
    print(f"  close:    {counted(cases.values(), 'behaviorClose')}")
    good = GOOD if options.require_all else GOOD | {"UNIMPLEMENTED"}
    failed = 0
    covered = collections.Counter()
    useless = set()
    for case in sorted(cases, key=case_key):
        behavior, close = cases[case]["behavior"], cases[case]["behaviorClose"]
        bad = {behavior, close} - good
        word = ""
        for entry in allowed:
            if agent == entry.agent and fnmatch.fnmatchcase(case, entry.cases):
                if bad and bad <= entry.outcomes:
                    bad = set()
                    word = "allowed"
                    covered[entry] += 1
                else:
                    useless.add(f"{case} needs no entry {entry.cases}")
        failed += bool(bad)
        if bad or {behavior, close} != {"OK"}:
            code = cases[case].get("remoteCloseCode")
            word = "BAD" if bad else word
            print(f"  {case:<9} {behavior:<14} close {close:<16} code {code} {word}".rstrip())
    for entry, count in covered.items():
        print(f"  allowed {count} of {entry.cases}: {entry.reason}")
    for line in sorted(useless):
        print(f"  {line}")
    complete = options.expect is None or len(cases) == options.expect
    if not complete:
        print(f"  {len(cases)} cases, not {options.expect}")
    known = sum(covered.values())
    print(f"{agent}: {len(cases) - failed - known} passed, {failed} failed" + f", {known} allowed" * bool(known))
    return complete and not failed and not useless


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--require-all", action="store_true")
    parser.add_argument("--expect", type=int)
    parser.add_argument("--allow")
    options = parser.parse_args()
    try:
        index = json.loads((pathlib.Path(options.folder) / "index.json").read_text(encoding="utf-8"))
        allowed = allow_list(options.allow) if options.allow else []
    except (OSError, ValueError) as error:
        print(f"summary: {error}", file=sys.stderr)
        return 2
    good = [judge(agent, cases, options, allowed) for agent, cases in sorted(index.items())]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
