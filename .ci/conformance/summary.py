#!/usr/bin/env python3
"""Prints and judges a report of the WebSocket conformance suite.

    summary.py FOLDER [EXPECTED]

FOLDER holds the index.json that wstest wrote. For each agent the outcomes are
counted, once for what happened in the cases ("behavior") and once for how the
connections ended ("close"), and each case with an outcome other than OK is
listed. OK and INFORMATIONAL are good; everything else is bad: FAILED,
NON-STRICT, UNIMPLEMENTED, UNCLEAN, WRONG CODE, ...

Exit status: 0 when nothing is bad and each agent has EXPECTED cases (if that is
given), 1 when not, 2 when there is no report to judge.
"""

import collections
import json
import pathlib
import sys

GOOD = {"OK", "INFORMATIONAL"}


def case_key(case):
    return [int(part) for part in case.split(".")]


def counted(results, field):
    counts = collections.Counter(result[field] for result in results)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())


def judge(agent, cases, expected):
    """Prints the summary of one agent; returns whether all is good."""
    print(f"{agent}: {len(cases)} cases")
    print(f"  behavior: {counted(cases.values(), 'behavior')}")
    print(f"  close:    {counted(cases.values(), 'behaviorClose')}")
    failed = 0
    for case in sorted(cases, key=case_key):
        behavior, close = cases[case]["behavior"], cases[case]["behaviorClose"]
        bad = not {behavior, close} <= GOOD
        failed += bad
        if bad or {behavior, close} != {"OK"}:
            code = cases[case].get("remoteCloseCode")
            print(f"  {case:<9} {behavior:<14} close {close:<16} code {code} {'BAD' if bad else ''}".rstrip())
    complete = expected is None or len(cases) == expected
    if not complete:
        print(f"  {len(cases)} cases, not {expected}")
    print(f"{agent}: {len(cases) - failed} passed, {failed} failed")
    return complete and not failed


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    expected = int(sys.argv[2]) if len(sys.argv) == 3 else None
    try:
        index = json.loads((pathlib.Path(sys.argv[1]) / "index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"summary: {error}", file=sys.stderr)
        return 2
    good = [judge(agent, cases, expected) for agent, cases in sorted(index.items())]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
