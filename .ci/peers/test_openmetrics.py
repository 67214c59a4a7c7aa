"""The text of a server's metrics, read by Prometheus' own parser."""

import pathlib
import subprocess

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
