#!/usr/bin/env bash
# Runs the suite's server, which tests the clients that connect to it.
#
#   run-fuzzingserver.sh PORT OUTDIR [CASES] [-- CLIENT-COMMAND...]
#
# PORT    on 127.0.0.1
# OUTDIR  gets index.json, a JSON and an HTML file for each case, wstest.log
# CASES   as for run-fuzzingclient.sh: all, most, quick or a JSON list
#
# With a client command: starts the server, waits until it listens, runs the
# command with WSTEST_URL and WSTEST_LOG in its environment, stops the server, and exits with
# the command's status (1 when that was 0 but cases are missing in the report).
# Without one: serves until it gets SIGINT or SIGTERM.
#
# The client under test
#   1. connects to URL/getCaseCount and reads one text message, the number N;
#   2. for each case I from 1 to N connects to URL/runCase?case=I&agent=NAME and
#      sends every message back with the type it came in, until the connection
#      is closed or fails;
#   3. connects to URL/updateReports?agent=NAME and waits for the close: then
#      the reports are written.
#
# AUTOBAHN_DIR, WSTEST_OPTIONS: as for run-fuzzingclient.sh.
# WSTEST_LIMIT: seconds until the client command is given up (default 3600).
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

positional=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do positional+=("$1"); shift; done
[ ${#positional[@]} -eq 2 ] || [ ${#positional[@]} -eq 3 ] || usage
if [ $# -gt 0 ]; then shift; [ $# -gt 0 ] || usage; fi
port=${positional[0]}
case $port in ''|*[!0-9]*) usage ;; esac
url=ws://127.0.0.1:$port
prepare "${positional[1]}"
make_spec "$url" "${positional[2]:-all}"

listens() { (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
if listens; then
    echo "something listens on 127.0.0.1:$port already" >&2
    exit 2
fi

server= client=
stop() {
    for pid in $client $server; do kill "$pid" 2>/dev/null; done
    wait
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Web port 0: no HTTP server beside the WebSocket one.
"$wstest" -m fuzzingserver -u 0 -s "$outdir/spec.json" > "$log" 2>&1 < /dev/null &
server=$!
for _ in $(seq 600); do
    listens && break
    kill -0 $server 2>/dev/null || break
    sleep 0.1
done
if ! listens; then
    echo "wstest does not listen on port $port; the last lines of its log:" >&2
    tail -5 "$log" >&2
    exit 1
fi
echo "wstest: listening on $url, log in $log"

if [ $# -eq 0 ]; then
    wait $server
    exit
fi

SECONDS=0
WSTEST_URL=$url WSTEST_LOG=$log timeout -k 10 "$limit" "$@" < /dev/null &
client=$!
wait $client
status=$?
client=
echo "client: $SECONDS s, exit status $status"
if [ $status -eq 0 ]; then
    check_run || status=1
fi
exit $status
