"""Where handler files in Python answer, beside pages and scripts that are Apache's."""

import pytest

from client import ask, connect
from readable import EXAMPLES, MODULE
from test_handshake import GOOD

SCRIPT = "#!/bin/sh\necho Content-Type: text/plain\necho\necho it ran\n"


@pytest.fixture(params=["LinkspanHandler python\n", "<Location />\nLinkspanHandler python\n</Location>\n"],
                ids=["server", "location"])
def server(request, apache):
    """Handlers, pages and scripts at the same place; one of the handlers is for nobody."""
    one = apache(f"{MODULE}LinkspanPythonHandlerRoot {EXAMPLES}\n{request.param}"
                 "AddHandler cgi-script .cgi\n<Directory />\nOptions +ExecCGI\n</Directory>\n"
                 "<Location /echo_noext>\nRequire all denied\n</Location>\n", modules=["cgid"])
    script = one.folder / "htdocs/script.cgi"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return one


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_handler_file_answers_without_sethandler(server, tls):
    with connect(server, "/echo", tls=tls) as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
        socket.close()
        assert socket.close_code == 1000


def test_what_no_handler_has_stays_apaches(server):
    assert ask(server, "/index.html")[2] == b"a plain page\n"
    for headers in ((), GOOD):
        status, _, body = ask(server, "/script.cgi", headers)
        assert status == 200 and b"it ran\n" in body and b"echo" not in body
    assert ask(server, "/nothing", GOOD)[0] == 404
    assert ask(server, "/echo")[0] == 426


def test_access_control_comes_before_the_handler(server):
    assert ask(server, "/echo_noext", GOOD)[0] == 403
