#!/usr/bin/env bash
# Runs the suite against one face of the library and judges it.
#
#   face.sh FACE [CASES]
#
# FACE    c-server, c-client: the C examples in build/examples/c
#         cpp-server, cpp-client: the C++ examples in build/examples/cpp; the client is the browser's class
#         apache-suspend, apache-detach, apache-sync: echo in mod_linkspan on the event MPM; apache-worker,
#         apache-prefork: on those
#         python-server: examples/python/echo_wsh.py in the stand-alone server of the wheel in .venv
# CASES   all (the default), most, quick or a JSON list, as for the run scripts
#
# The report goes to target/conformance/FACE and the summary to standard output.
# Exits 0 when every case is OK or INFORMATIONAL, or bad for a reason that is in allow.txt.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || [ $# -eq 2 ] || usage
face=$1 cases=${2:-all}
cd "$here/../.." || exit 2
report=target/conformance/$face
judge=(--require-all --allow "$here/allow.txt")
case $cases in all) judge+=(--expect 517) ;; most) judge+=(--expect 421) ;; quick) judge+=(--expect 247) ;; esac

# Starts a server that prints "listening on URL" and runs the suite against that URL, or what is below it at $resource.
test_server() {
    exec 3< <(exec "$@" < /dev/null)
    trap "kill $! 2>/dev/null" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    read -r -t 30 line <&3 || { echo "$1 does not listen" >&2; exit 1; }
    "$here/run-fuzzingclient.sh" "${line#listening on }${resource-}" "$face" "$report" "$cases"
}

# Runs the suite against a client that sends back what it receives from a URL.
test_client() {
    local port
    port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$here/run-fuzzingserver.sh" "$port" "$report" "$cases" -- "$here/client-loop.sh" "$face" "$@"
}

case $face in
    c-server) test_server build/examples/c/echo_server --port 0 --deflate ;;
    c-client) test_client build/examples/c/echo_client --deflate ;;
    cpp-server) test_server build/examples/cpp/echo_server --port 0 --deflate ;;
    cpp-client) test_client build/examples/cpp/echo_client --deflate ;;
    python-server)
        resource=echo
        test_server .venv/bin/python -m mod_pywebsocket.standalone -H 127.0.0.1 -p 0 -w "$PWD/examples/python" ;;
    apache-*)
        resource=echo
        test_server .venv/bin/python .ci/apache/serve.py "${face#apache-}" ;;
    *) usage ;;
esac >&2 || exit 1
"$python" "$here/summary.py" "$report" "${judge[@]}"
