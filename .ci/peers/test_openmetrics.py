"""The text of a server's metrics, read by Prometheus' own parser."""

import pathlib
import re
import subprocess
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

PROGRAM = pathlib.Path(__file__).parents[2] / "build" / "ffi" / "tests" / "c_metrics"


def test_a_real_parser_reads_every_family():
    text = subprocess.run([PROGRAM, "--print"], check=True, capture_output=True, text=True, timeout=60).stdout
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["linkspan_connections"].type == "gauge"
    received = families["linkspan_received_bytes"]
    assert (received.type, received.unit, received.samples[0].value) == ("counter", "bytes", 10020)
    closed = {sample.labels["code"]: sample.value for sample in families["linkspan_closed"].samples}
    assert (closed["1001"], closed["4xxx"], closed["1006"]) == (3, 1, 0)
    assert all(sample.value == 0 for sample in families["linkspan_faults"].samples)
    trips = families["linkspan_round_trip_seconds"]
    assert (trips.type, trips.unit) == ("histogram", "seconds")
    assert [sample.labels["le"] for sample in trips.samples if "le" in sample.labels][-1] == "+Inf"
    assert all(family.name.startswith("linkspan_") and family.documentation for family in families.values())


def test_a_real_parser_reads_the_python_server(tmp_path):
    server = subprocess.Popen(
        [sys.executable, "-m", "mod_pywebsocket.standalone", "-p", "0", "-H", "127.0.0.1", "-d", tmp_path,
         "--metrics", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().startswith("listening ")
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        with urllib.request.urlopen(address, timeout=60) as answer:
            text = answer.read().decode()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["linkspan_connections"].type == families["linkspan_handlers_running"].type == "gauge"
    for name, unit in (("received_bytes", "bytes"), ("gil_wait_seconds", "seconds"), ("sent_messages", "")):
        family = families["linkspan_" + name]
        assert (family.type, family.unit) == ("counter", unit)
    assert {sample.labels["code"] for sample in families["linkspan_closed"].samples} >= {"1000", "1006", "4xxx"}
    assert all(name.startswith("linkspan_") and family.documentation for name, family in families.items())
