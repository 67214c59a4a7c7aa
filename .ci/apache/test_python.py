"""LinkspanHandler python: handler files of mod_pywebsocket inside of Apache."""

import pytest

from client import ask, connect
from httpd import OURS
from servers import ROOT
from test_handshake import GOOD

MODULE = f"LoadModule linkspan_python_module {OURS}/mod_linkspan_python.so\nLinkspanPythonPath {ROOT}/python\n"
EXAMPLES = ROOT / "examples/python"


def python(root, more="", location=""):
    """Handler files in a directory, served where nothing else is."""
    return (f"{MODULE}LinkspanPythonHandlerRoot {root}\n{more}\n"
            f"<Location />\nSetHandler linkspan\nLinkspanHandler python\n{location}\n</Location>\n")


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_the_echo_of_the_examples(carried, tls):
    server = carried(python(EXAMPLES))
    with connect(server, "/echo", tls=tls) as socket:
        for message in ("hello", b"bytes", "", "ü" * 1000, b"x" * 1000000):
            socket.send(message)
            assert socket.recv() == message
        socket.send("Goodbye")
        assert socket.recv() == "Goodbye"
        socket.pump(30, lambda: False)
        assert socket.close_code == 1000


def test_what_no_handler_has_is_apaches(apache):
    server = apache(python(EXAMPLES))
    assert ask(server, "/index.html")[2] == b"a plain page\n"
    assert ask(server, "/nothing", GOOD)[0] == 404
    assert ask(server, "/echo")[0] == 426
