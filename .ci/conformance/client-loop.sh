#!/usr/bin/env bash
# Takes an echo client through all the cases of run-fuzzingserver.sh, which runs
# this with WSTEST_URL and WSTEST_LOG in the environment.
#
#   client-loop.sh AGENT CLIENT [OPTION...]
#
# "CLIENT OPTION... URL" must send back every message until the connection ends.
# Its exit status says nothing about a case, unless a signal ended it.
set -uo pipefail
agent=$1
shift
count=$(sed -n 's/^Ok, will run \([0-9]*\) test cases.*/\1/p' "$WSTEST_LOG")
for case in $(seq "$count"); do
    "$@" "$WSTEST_URL/runCase?case=$case&agent=$agent" > /dev/null 2>&1
    status=$?
    if [ $status -ge 126 ]; then
        echo "case $case: exit status $status" >&2
        exit 1
    fi
done
exec "$@" "$WSTEST_URL/updateReports?agent=$agent"
