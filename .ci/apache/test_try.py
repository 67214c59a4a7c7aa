"""The Apache of `./dev run apache`: its configuration, on other ports."""

import pytest

from client import ask, connect
from httpd import MODULES, Apache, folder
from servers import ROOT


class Tried(Apache):
    def command(self, *arguments):
        named = {"PLACE": self.folder, "ROOT": ROOT, "MODULES": MODULES, "PORT": self.port, "TLS_PORT": self.tls_port}
        program = super().command()[0]
        defines = [word for name, value in named.items() for word in ("-C", f'Define {name} "{value}"')]
        return [program, "-f", str(ROOT / "bindings/apache/try.conf"), *defines, *arguments]


@pytest.fixture
def tried(certificate):
    with folder() as place, Tried(place, certificate, "") as server:
        yield server


def test_what_dev_run_starts_echoes_and_has_nothing_to_complain_of(tried):
    for tls in (False, True):
        assert ask(tried, tls=tls)[2] == b"a plain page\n"
        with connect(tried, tls=tls, subprotocols=["superchat"]) as socket:
            assert socket.subprotocol == "superchat"
            socket.send("发送数据")
            assert socket.recv() == "发送数据"
    with connect(tried, "/chat") as speaker, connect(tried, "/chat", tls=True) as listener:
        speaker.send("all")
        assert listener.recv() == "all"
    status, fields, _ = ask(tried, "/status")
    assert status == 200 and "openmetrics" in fields["content-type"]
    assert "linkspan:warn" not in tried.words() and "linkspan:error" not in tried.words(), tried.words()
