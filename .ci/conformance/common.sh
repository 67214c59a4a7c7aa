# Shared by run-fuzzingclient.sh and run-fuzzingserver.sh.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wstest=${AUTOBAHN_DIR:-$here/../../.autobahn}/bin/wstest
python=${PYTHON:-python3}
limit=${WSTEST_LIMIT:-3600}

# Prints the comment at the head of the calling script.
usage() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0" >&2
    exit 2
}

# prepare OUTDIR: makes it, empties it of an earlier run's reports (which must
# not pass for those of this one) and sets outdir to its full path.
prepare() {
    if [ ! -x "$wstest" ]; then
        echo "no $wstest: run install.sh first, or set AUTOBAHN_DIR" >&2
        exit 2
    fi
    mkdir -p "$1" || exit 2
    outdir=$(cd "$1" && pwd)
    log=$outdir/wstest.log
    find "$outdir" -maxdepth 1 -type f \
        \( -name index.json -o -name index.html -o \
           -name '*_case_*.json' -o -name '*_case_*.html' \) -delete
}

# make_spec URL CASES [AGENT]: writes OUTDIR/spec.json, for the client's mode
# when an agent is given and for the server's when not.
make_spec() {
    "$python" - "$outdir" "${WSTEST_OPTIONS:-"{}"}" "$@" > "$outdir/spec.json" <<'P' || exit 2
import json
import sys

outdir, options, url, cases, *agent = sys.argv[1:]
# 12.* and 13.* repeat each extension parameter set with 18 message sizes; the
# ones listed here, large messages in many fragments, take four fifths of the
# time of a whole run.
large = [f"!{group}.*.{size}" for group in (12, 13) for size in (9, 10, *range(13, 19))]
named = {
    "all": ["*"],
    "most": ["*", *large],
    "quick": ["*", "!9.*", "!12.*", "!13.*"],
}
try:
    patterns = named[cases] if cases in named else json.loads(cases)
    options = json.loads(options)
except ValueError as error:
    sys.exit(f"cases or options: {error}")
if not (isinstance(patterns, list) and all(isinstance(p, str) for p in patterns)):
    sys.exit("cases: not all, most, quick or a JSON list of strings")
spec = {
    "outdir": outdir,
    "cases": [p for p in patterns if not p.startswith("!")],
    "exclude-cases": [p[1:] for p in patterns if p.startswith("!")],
    "exclude-agent-cases": {},
    "options": {"failByDrop": False, **options},
}
if agent:
    spec["servers"] = [{"agent": agent[0], "url": url}]
else:
    spec["url"] = url
json.dump(spec, sys.stdout, indent=1)
P
}

# check_run: succeeds when every agent in the report has every case that wstest
# said it would run.
check_run() {
    "$python" - "$outdir" <<'P'
import json
import pathlib
import re
import sys

outdir = pathlib.Path(sys.argv[1])
log = (outdir / "wstest.log").read_text(errors="replace")
wanted = int((re.search(r"^Ok, will run (\d+) test cases", log, re.M) or [0, 0])[1])
try:
    index = json.loads((outdir / "index.json").read_text())
except FileNotFoundError:
    sys.exit("wstest wrote no report")
for agent, cases in index.items():
    print(f"{agent}: {len(cases)} of {wanted} cases have been run")
if not index or not wanted or any(len(cases) != wanted for cases in index.values()):
    sys.exit("the run is not complete")
P
}
