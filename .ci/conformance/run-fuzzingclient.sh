#!/usr/bin/env bash
# Runs the suite against a WebSocket echo server.
#
#   run-fuzzingclient.sh URL AGENT OUTDIR [CASES]
#
# URL     of the echo server, ws:// on a loopback address
# AGENT   the server's name in the report
# OUTDIR  gets index.json, a JSON and an HTML file for each case, wstest.log
# CASES   all (the default); most (without the large messages of 12.* and 13.*);
#         quick (without 9.*, 12.* and 13.*); or a JSON list of case patterns,
#         those to leave out with a '!' before them: '["1.*", "7.*", "!7.1.6"]'
#
# AUTOBAHN_DIR    the folder given to install.sh (default: .autobahn at
#                 the top of the checkout)
# WSTEST_LIMIT    seconds until the run is given up (default 3600)
# WSTEST_OPTIONS  a JSON object of protocol options for wstest, for example
#                 '{"closeHandshakeTimeout": 5}'
#
# Exits 0 when every case has been run, whatever its outcome (summary.py judges
# those), 1 when the run broke off, 2 for a wrong call.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 3 ] || [ $# -eq 4 ] || usage
url=$1 agent=$2
case $url in
    ws://127.*|ws://localhost|ws://localhost[:/]*|ws://\[::1\]*) ;;
    *) echo "$url: not a ws:// URL of a loopback address" >&2; exit 2 ;;
esac
prepare "$3"
make_spec "$url" "${4:-all}" "$agent"

trap 'kill $run 2>/dev/null; exit 130' INT
trap 'kill $run 2>/dev/null; exit 143' TERM
SECONDS=0
timeout -k 10 "$limit" "$wstest" -m fuzzingclient -s "$outdir/spec.json" \
    > "$log" 2>&1 < /dev/null &
run=$!
wait $run
status=$?
echo "wstest: $SECONDS s, log in $log"

if [ $status -eq 124 ] || [ $status -eq 137 ]; then
    echo "wstest: given up after $limit s; the last lines of the log:" >&2
    tail -2 "$log" >&2
    exit 1
elif [ $status -ne 0 ]; then
    echo "wstest: exit status $status; the last lines of the log:" >&2
    tail -5 "$log" >&2
    exit 1
fi
check_run || { grep '^Connection to .* failed' "$log" >&2; exit 1; }
