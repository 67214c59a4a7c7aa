"""What `apache2 -t` and the start say of a configuration."""

import contextlib
import resource

import pytest
from websockets.exceptions import InvalidStatus

from client import ask, connect
from conftest import echo
from httpd import wait_for
from test_handshake import GOOD


@pytest.mark.parametrize("line, words", [
    ("LinkspanHandler", "LinkspanHandler is "),
    ("LinkspanHandler telephone", "LinkspanHandler is "),
    ("LinkspanOrigin example.org", '"example.org" is no origin'),
    ("LinkspanOrigin https://example.org/path", "is no origin"),
    ("LinkspanOrigin any https://example.org", '"any" allows every origin'),
    ("LinkspanSubprotocols a,b", '"a,b" can not be the name of a subprotocol'),
    ("LinkspanCompression Perhaps", "LinkspanCompression is On or Off"),
    ("LinkspanCompression On 16", '"16" is not understood'),
    ("LinkspanMaxMessageSize 0", "LinkspanMaxMessageSize is a number of bytes from 1"),
    ("LinkspanMaxMessageSize 1X", 'not "1X"'),
    ("LinkspanMaxQueue 2000G", "LinkspanMaxQueue is a number of bytes from 1"),
    ("LinkspanPingInterval soon", "LinkspanPingInterval is a time"),
    ("LinkspanIdleTimeout -1", "LinkspanIdleTimeout is a time"),
    ("LinkspanAccessLog never", "LinkspanAccessLog is end, upgrade or both"),
    ("LinkspanDetach On", "LinkspanDetach is Off or Auto"),
])
def test_a_wrong_line_is_named(configured, line, words):
    server = configured(f"<Location /x>\n{line}\n</Location>")
    is_good, said = server.check()
    number = server.configuration.read_text().splitlines().index(line) + 1
    assert not is_good
    assert f"on line {number} of {server.configuration}" in said and words in said


@pytest.mark.parametrize("line, words", [
    ("LinkspanMode fast", "LinkspanMode is auto, async or sync"),
    ("LinkspanIOThreads 0", "LinkspanIOThreads is a number from 1 to 64"),
    ("LinkspanMaxConnections many", "LinkspanMaxConnections is a number from 0"),
    ("LinkspanGracefulTimeout x", "LinkspanGracefulTimeout is a time"),
    ("<VirtualHost *:1>\nLinkspanMode sync\n</VirtualHost>", "LinkspanMode cannot occur within <VirtualHost>"),
])
def test_a_wrong_line_of_the_server_is_named(configured, line, words):
    is_good, said = configured(line).check()
    assert not is_good and words in said


def test_async_needs_the_event_mpm(configured):
    assert configured("LinkspanMode async").check()[0]
    with pytest.raises(RuntimeError, match="LinkspanMode async needs the event MPM; this is prefork"):
        configured("LinkspanMode async", mpm="prefork").start()


def test_what_will_cut_connections_is_said_with_numbers(apache):
    tight = """
<IfModule mpm_event_module>
StartServers 1
ServerLimit 6
ThreadsPerChild 25
MaxRequestWorkers 150
MaxSpareThreads 75
MaxConnectionsPerChild 1000
</IfModule>
"""
    said = apache(tight + echo()).errors()
    assert "a child accepts no more than 75 connections (ThreadsPerChild 25, AsyncRequestWorkerFactor 2)" in said
    assert "all 6 children 450" in said and "AsyncRequestWorkerFactor 400" in said
    assert "MaxSpareThreads 75 is below MaxRequestWorkers 150" in said
    assert "MaxConnectionsPerChild 1000 ends a child" in said


def test_a_wide_configuration_is_not_complained_about(apache):
    wide = "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nAsyncRequestWorkerFactor 39\n"
    assert "linkspan:warn" not in apache(wide + "MaxSpareThreads 25\n" + echo()).errors()
    assert "linkspan:warn" not in apache().errors()


def test_too_few_descriptors_are_said(apache):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1500, files[1]))
    try:
        said = apache("AsyncRequestWorkerFactor 400\n" + echo()).errors()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
    assert "a child may open 1500 files, and is to carry up to 10025 connections" in said


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_one_socket_too_many_gets_503_and_when_to_come_back(apache, mpm):
    server = apache("ServerLimit 1\nStartServers 1\nThreadsPerChild 10\nMaxRequestWorkers 10\nLinkspanMaxConnections 2\n"
                    + echo(), mpm=mpm)
    with connect(server) as one, connect(server):
        status, fields, _ = ask(server, "/echo", GOOD)
        assert status == 503 and int(fields["retry-after"]) > 0
        one.close()

        def again():
            # The place is free once the server has heard of the client's end.
            with contextlib.suppress(InvalidStatus):
                return connect(server)

        with wait_for(again, 30, "there is no room again") as three:
            three.send("there is room again")
            assert three.recv(30) == "there is room again"


@pytest.mark.parametrize("word", ["linkspan", '"linkspan"'])
def test_a_location_without_a_handler_is_named_at_the_start(apache, word):
    server = apache(f"<Location /lost>\nSetHandler {word}\n</Location>")
    line = server.configuration.read_text().splitlines().index(f"SetHandler {word}") + 1
    assert f"{server.configuration}:{line}: SetHandler linkspan without a LinkspanHandler" in server.errors()


def test_inner_sections_add_to_outer_ones(apache):
    server = apache("""
LinkspanMaxMessageSize 1K
<Location /outer>
SetHandler linkspan
LinkspanHandler echo
LinkspanOrigin https://one.example
LinkspanSubprotocols chat
</Location>
<Location /outer/inner>
LinkspanOrigin any
LinkspanMaxMessageSize 2K
</Location>
""")
    for path, limit in [("/outer", 1024), ("/outer/inner", 2048)]:
        with connect(server, path, subprotocols=["chat"]) as socket:
            assert socket.subprotocol == "chat"
            socket.send("x" * limit)
            assert len(socket.recv(30)) == limit
            socket.send("x" * (limit + 1))
            with pytest.raises(Exception, match="1009"):
                socket.recv(30)
    strange = [*GOOD, "Origin: http://elsewhere.example"]
    assert ask(server, "/outer", strange)[0] == 403 and ask(server, "/outer/inner", strange)[0] == 101
