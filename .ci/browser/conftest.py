"""The servers and the browser that the tests here talk to."""

import base64
import contextlib
import hashlib
import subprocess

import pytest

from devtools import Browser, Page
from servers import ROOT, accepting, free_port


@pytest.fixture
def standalone():
    """Starts a server that ends with the test, and gives its port."""
    with contextlib.ExitStack() as running:
        def start(command, *options, cwd=ROOT):
            port = free_port()
            running.enter_context(accepting([*command, "-p", port, *options], port, cwd=cwd))
            return port

        yield start


@pytest.fixture(scope="session")
def certificate():
    """The examples' certificate for localhost, its key, and the hash of its public key."""
    cert, key = ROOT / "examples/tls/localhost.crt", ROOT / "examples/tls/localhost.key"
    public = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"],
                            check=True, capture_output=True, text=True).stdout
    der = base64.b64decode("".join(public.splitlines()[1:-1]))
    return cert, key, base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture(scope="session")
def browser(certificate):
    with Browser(f"--ignore-certificate-errors-spki-list={certificate[2]}") as browser:
        yield browser


@pytest.fixture
def page(browser):
    with Page(browser) as page:
        yield page
