"""The console page in examples/html, served by Apache, with its WebSocket in the module mod_linkspan."""

import shutil
import subprocess

import pytest

from httpd import running, wait_for
from servers import ROOT
from test_console import SCREENSHOTS, STATE, a_whole_visit, close, connect, echo, text

PAGES = ROOT / "examples/html"
OPTIONS = """
# The browser opens more connections than it uses; when Apache stops, it waits for their handshakes.
RequestReadTimeout handshake=5
DirectoryIndex index.html
AddType text/html .html
AddType text/css .css
AddType text/javascript .js
<Location /echo>
SetHandler linkspan
LinkspanHandler echo
LinkspanCompression On
</Location>
<Location /members>
SetHandler linkspan
LinkspanHandler echo
AuthType Basic
AuthName members
AuthBasicProvider file
AuthUserFile users
Require valid-user
</Location>
"""


@pytest.fixture(scope="module")
def apache(certificate):
    modules = ["dir", "authn_core", "authn_file", "auth_basic", "authz_user"]
    with running(certificate[:2], OPTIONS, modules=modules) as server:
        shutil.copytree(PAGES, server.folder / "htdocs", dirs_exist_ok=True)
        secret = subprocess.run(["openssl", "passwd", "-apr1", "secret"], check=True, capture_output=True, text=True)
        (server.folder / "users").write_text(f"ada:{secret.stdout}")
        yield server


def address(apache, scheme, host="localhost"):
    return f"{scheme}://{host}:{apache.tls_port if scheme in ('https', 'wss') else apache.port}"


@pytest.fixture(params=["http", "https"])
def visited(request, page, apache):
    """The page, opened from Apache."""
    page.open(address(apache, request.param) + "/")
    page.scheme = request.param.replace("http", "ws")
    return page


def test_text_and_binary_come_back(visited, apache):
    assert visited.run("document.querySelector('#url').value") == address(apache, visited.scheme) + "/echo"
    a_whole_visit(visited)


def test_the_close_code_comes_back(visited):
    connect(visited)
    assert text(visited, "#log [data-what=opened] .text").endswith("(permessage-deflate)")
    visited.click("summary")
    visited.fill("#code", "4001")
    assert close(visited) == "code 4001 (the application's own), no reason, clean"


def refused(page, apache, url, status):
    """The page cannot connect to this address, and says so; Apache has answered with this status."""
    path = url[url.rindex("/"):]
    before = len(answers(apache, path))
    page.fill("#url", url)
    page.click("#connect")
    page.until("!document.querySelector('#problem').hidden")
    assert text(page, "#problem") == f"No connection to {url}, or it was lost. Does the server run?"
    assert text(page, "#ended") == "code 1006 (no close frame came), no reason, not clean"
    wait_for(lambda: len(answers(apache, path)) > before, 20, "Apache logs no request")
    assert answers(apache, path)[before:] == [status]


def answers(apache, path):
    """The statuses of all requests for a path that Apache has logged."""
    return [line.split()[2] for line in apache.accesses() if line.split()[1] == path]


def test_who_has_no_password_gets_no_socket(visited, apache):
    refused(visited, apache, address(apache, visited.scheme) + "/members", "401")


def test_who_has_the_password_gets_one(visited, apache):
    visited.fill("#url", address(apache, visited.scheme).replace("//", "//ada:secret@") + "/members")
    connect(visited)
    assert echo(visited, "a member") == "a member"
    close(visited)


def test_a_page_of_another_origin_gets_no_socket(page, apache):
    # Another name of the same machine is a stranger.
    page.open(address(apache, "http", "127.0.0.1") + "/")
    refused(page, apache, address(apache, "ws") + "/echo", "403")
    page.fill("#url", address(apache, "ws", "127.0.0.1") + "/echo")
    connect(page)


def test_the_page_is_photographed(visited):
    connect(visited)
    echo(visited, "发送数据")
    visited.until("document.getAnimations().every(one => one.playState !== 'running' || one.animationName)")
    shot = SCREENSHOTS / f"apache-{visited.scheme}.png"
    visited.screenshot(shot)
    assert visited.run(STATE) == "OPEN" and shot.stat().st_size > 10_000
