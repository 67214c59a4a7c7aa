"""What the administrator sees: the page in OpenMetrics, and a section of mod_status."""

import signal

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from client import ask, connect
from conftest import echo
from httpd import wait_for
from test_handshake import GOOD

PAGES = """
LoadModule status_module /usr/lib/apache2/modules/mod_status.so
<Location /metrics>
SetHandler linkspan-status
</Location>
<Location /numbers>
LinkspanStatus On
</Location>
<Location /numbers/inner>
LinkspanStatus Off
</Location>
<Location /server-status>
SetHandler server-status
</Location>
"""


def numbers(server):
    status, fields, body = ask(server, "/metrics")
    assert status == 200 and fields["content-type"].startswith("application/openmetrics-text")
    return {(sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(body.decode()) for sample in family.samples}


def test_the_page_counts_the_sockets_of_all_children(carried):
    server = carried(PAGES + echo())
    way = server.way if server.way in ("suspend", "detach") else "sync"
    open_sockets = ("linkspan_apache_sockets", way)
    with connect(server) as one, connect(server) as two:
        for socket in (one, two, two):
            socket.send("hello")
            assert socket.recv() == "hello"
        assert ask(server, "/echo", [*GOOD, "Origin: http://elsewhere.example"])[0] == 403
        seen = numbers(server)
        assert ask(server, "/numbers")[2] == ask(server, "/metrics")[2]
        assert ask(server, "/numbers/inner")[0] == 404
        assert seen[open_sockets] == 2
        assert seen["linkspan_apache_opened_total",] == 2 and seen["linkspan_apache_refused_total",] == 1
        assert seen["linkspan_apache_messages_total", "received"] == 3
        assert seen["linkspan_apache_messages_total", "sent"] == 3
        assert seen["linkspan_apache_message_bytes_total", "received"] == 15
        page = ask(server, "/server-status")[2].decode()
        assert "WebSockets (mod_linkspan)" in page and f"{way} 2" in page
    wait_for(lambda: numbers(server)[open_sockets] == 0, 30, "closed sockets are counted")
    assert ask(server, "/metrics", method="POST")[0] == 405


@pytest.mark.parametrize("which", [signal.SIGUSR1, signal.SIGHUP])
def test_totals_go_on_through_a_restart(apache, which):
    server = apache(PAGES + echo())
    with connect(server) as socket:
        socket.send("before")
        assert socket.recv() == "before"
    before = server.children()
    server.signal(which)
    wait_for(lambda: not set(before) & set(server.children()) and server.children(), 30, "the children stay")
    with connect(server) as socket:
        socket.send("after")
        assert socket.recv() == "after"
        seen = numbers(server)
    assert seen["linkspan_apache_opened_total",] == 2
    assert seen["linkspan_apache_messages_total", "received"] == 2
    assert seen["linkspan_apache_sockets", "suspend"] == 1
