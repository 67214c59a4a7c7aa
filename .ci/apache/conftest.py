"""Apaches for the tests: built module, any MPM, ended with the test."""

import contextlib

import pytest

from httpd import OURS, Apache, folder, running
from servers import ROOT

# How a socket is carried: the MPM, and what stands in the configuration for it.
WAYS = {
    "suspend": ("event", ""),
    "detach": ("event", "LinkspanDetach Auto"),
    "sync": ("event", "LinkspanMode sync"),
    "worker": ("worker", ""),
    "prefork": ("prefork", ""),
}


def echo(more=""):
    return f"<Location /echo>\nSetHandler linkspan\nLinkspanHandler echo\n{more}\n</Location>\n"


@pytest.fixture(scope="session")
def certificate():
    return ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"


@pytest.fixture
def place():
    """A folder that the server's children can read."""
    with folder() as made:
        yield made


@pytest.fixture
def configured(certificate):
    """Writes the configuration of a server, which is not started."""
    with contextlib.ExitStack() as stack:
        yield lambda options="", **more: Apache(stack.enter_context(folder()), certificate, options, **more)


@pytest.fixture
def apache(certificate):
    """Starts servers that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda options="", **more: stack.enter_context(running(certificate, options, **more))


@pytest.fixture(params=WAYS)
def carried(request, apache):
    """Starts a server for each way to carry a socket."""
    mpm, option = WAYS[request.param]

    def start(options, **more):
        server = apache(option + "\n" + options, mpm=mpm, **more)
        server.way = request.param
        return server

    return start


@pytest.fixture(scope="session", autouse=True)
def built():
    assert (OURS / "mod_linkspan.so").exists(), "build it first: cmake -B build -DLINKSPAN_APACHE=ON"


@pytest.fixture(scope="module", params=WAYS)
def way(request, certificate):
    """An echo server for each way to carry a socket; the tests of a module share it."""
    mpm, option = WAYS[request.param]
    options = option + "\n" + echo("LinkspanMaxMessageSize 8M\nLinkspanMaxQueue 32M\nLinkspanCompression On")
    with running(certificate, options, mpm=mpm) as server:
        server.way = request.param
        yield server
