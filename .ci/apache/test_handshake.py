"""Who may come in, and what everybody else is told, by Apache's own error pages."""

import pytest

from client import ask, connect
from conftest import echo

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
GOOD = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY]


def but(*changes):
    """The good request with other lines, by the names of their fields."""
    names = {line.split(":")[0] for line in changes}
    return [line for line in GOOD if line.split(":")[0] not in names] + [line for line in changes if ": " in line]


@pytest.fixture(scope="module", params=["event", "worker", "prefork"])
def server(request, certificate):
    from conftest import running
    options = f"""
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
ErrorDocument 426 "this is the error document"
ErrorDocument 403 "nobody from there"
ErrorDocument 401 /echo
ErrorDocument 404 /echo
ErrorDocument 405 /index.html
{echo()}
<Location /any>
SetHandler linkspan
LinkspanHandler echo
LinkspanOrigin any
</Location>
<Location /listed>
SetHandler linkspan
LinkspanHandler echo
LinkspanOrigin https://one.example http://two.example:8080
</Location>
<Location /spoken>
SetHandler linkspan
LinkspanHandler echo
LinkspanSubprotocols chat superchat
LinkspanCompression On 9 no-context-takeover
</Location>
<Location /locked>
SetHandler linkspan
LinkspanHandler echo
AuthType Basic
AuthName here
AuthUserFile /dev/null
Require valid-user
</Location>
<Location /lost>
SetHandler linkspan
</Location>
"""
    with running(certificate, options, mpm=request.param) as server:
        yield server


def test_a_good_request_is_accepted(server):
    status, headers, _ = ask(server, "/echo", GOOD)
    assert status == 101
    assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert headers["upgrade"].lower() == "websocket" and headers["connection"].lower() == "upgrade"
    assert "sec-websocket-extensions" not in headers and "sec-websocket-protocol" not in headers


@pytest.mark.parametrize("headers", [
    but("Connection: keep-alive, Upgrade"),
    but("Upgrade: WebSocket"),
    [*GOOD, "Origin: http://127.0.0.1"],
    [*GOOD, "Origin: https://127.0.0.1"],
], ids=["firefox", "case", "own origin", "behind TLS"])
def test_other_good_requests(server, headers):
    assert ask(server, "/echo", headers)[0] == 101


@pytest.mark.parametrize("headers, method, expected", [
    ([], "GET", 426),
    (but("Upgrade"), "GET", 400),
    (but("Sec-WebSocket-Version: 12"), "GET", 426),
    (but("Sec-WebSocket-Version"), "GET", 400),
    (but("Sec-WebSocket-Key"), "GET", 400),
    (but("Sec-WebSocket-Key: short"), "GET", 400),
    (GOOD, "POST", 405),
    ([*GOOD, "Origin: http://elsewhere.example"], "GET", 403),
    ([*GOOD, "Origin: http://127.0.0.1:81"], "GET", 403),
    ([*GOOD, "Origin: null"], "GET", 403),
], ids=["plain", "no upgrade", "version", "no version", "no key", "bad key", "method", "origin", "port", "null"])
def test_a_bad_request_gets_its_http_error(server, headers, method, expected):
    status, fields, body = ask(server, "/echo", headers, method)
    assert status == expected
    assert body
    if expected == 426:
        assert fields["upgrade"] == "websocket" and "upgrade" in fields["connection"].lower()
        assert body == b"this is the error document"
    if expected == 403:
        assert body == b"nobody from there"
    if "Sec-WebSocket-Version: 12" in headers:
        assert fields["sec-websocket-version"] == "13"
    if expected == 405:
        assert "GET" in fields["allow"]


def test_http_1_0_can_not_be_upgraded(server):
    assert ask(server, "/echo", GOOD, version="HTTP/1.0")[0] == 426
    assert "refused with 426: an upgrade needs HTTP/1.1\n" in server.errors()


def test_origins_that_a_location_names(server):
    for origin, expected in [("https://one.example", 101), ("http://two.example:8080", 101),
                             ("http://one.example", 403), ("http://127.0.0.1", 403)]:
        assert ask(server, "/listed", [*GOOD, f"Origin: {origin}"])[0] == expected, origin
    assert ask(server, "/any", [*GOOD, "Origin: http://elsewhere.example"])[0] == 101


def test_a_host_can_not_smuggle_an_origin_in(apache):
    # Here Apache lets such a host through.
    server = apache("HttpProtocolOptions Unsafe\n" + echo())
    for host in ("a,http://evil.example", "a,evil.example"):
        headers = [*GOOD, f"Host: {host}", "Origin: http://evil.example"]
        assert ask(server, "/echo", headers)[0] == 400


def test_subprotocol_and_compression_are_agreed(server):
    headers = [*GOOD, "Sec-WebSocket-Protocol: superchat, chat", "Sec-WebSocket-Extensions: permessage-deflate"]
    status, fields, _ = ask(server, "/spoken", headers)
    assert status == 101
    assert fields["sec-websocket-protocol"] in ("chat", "superchat")
    assert fields["sec-websocket-extensions"].startswith("permessage-deflate")
    assert "server_no_context_takeover" in fields["sec-websocket-extensions"]
    assert "sec-websocket-extensions" not in ask(server, "/echo", headers)[1]


def test_who_is_not_allowed_gets_401_and_no_101(server):
    status, fields, _ = ask(server, "/locked", GOOD)
    assert status == 401
    assert fields["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("path, expected", [("/locked", 401), ("/nothing-here", 404)])
def test_the_page_of_an_error_opens_no_socket(server, path, expected):
    assert ask(server, path, GOOD)[0] == expected


def test_the_page_of_a_refusal_is_one_of_the_site(server):
    assert ask(server, "/echo", GOOD, "POST")[::2] == (405, b"a plain page\n")


@pytest.mark.parametrize("headers, path", [
    (["Cookie: caf\xe9"], "/echo"), (["Cookie: caf\xc3\xa9"], "/echo"), ([], "/echo?caf\xe9"),
], ids=["latin 1", "utf 8", "target"])
def test_what_is_not_ascii_comes_through(server, headers, path):
    assert ask(server, path, [*GOOD, *headers])[0] == 101


@pytest.mark.parametrize("more", [["Content-Length: 5"], ["Transfer-Encoding: chunked"]], ids=["length", "chunks"])
def test_a_body_is_refused(server, more):
    assert ask(server, "/echo", [*GOOD, *more], body="5\r\nhello\r\n0\r\n\r\n")[0] == 413


def test_a_location_without_a_handler_says_so(server):
    assert ask(server, "/lost", GOOD)[0] == 500
    assert "\\n" not in server.errors()  # no half of a line
    assert "has SetHandler linkspan and no LinkspanHandler" in server.errors()
    line = server.configuration.read_text().splitlines().index("<Location /lost>") + 2
    assert f"{server.configuration}:{line}: SetHandler linkspan without a LinkspanHandler" in server.errors()


def test_plain_pages_are_served_beside_it(server):
    assert ask(server, "/index.html")[2] == b"a plain page\n"
    assert ask(server, "/nothing-here")[0] == 404
    with connect(server) as socket:
        assert ask(server, "/index.html")[2] == b"a plain page\n"
        socket.send("both")
        assert socket.recv(30) == "both"
