"""The code in README.md and README.zh.md is built and run as it stands there; only the port is another one."""

import os
import re
import subprocess
import sys

import pytest
from websockets.sync.client import connect

from servers import ROOT, accepting, free_port, python_server

PORT = "9998"


@pytest.fixture(params=["README.md", "README.zh.md"])
def code(request):
    """Gives the block of code in a language (the first, or which), with another port."""
    text = (ROOT / request.param).read_text(encoding="utf-8")

    def block(language, port, which=0):
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
        assert len(blocks) == (2 if language == "python" else 1)
        found = blocks[which]
        assert PORT in found or language in ("cmake", "python")
        return found.replace(PORT, str(port))

    return block


def test_both_have_the_same_sections_links_and_figures():
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))

    def facts(text):
        table = text.partition("<!-- bench/python.py: begin -->")[2].partition("<!-- bench/python.py: end -->")[0]
        figures = [[cell.strip() for cell in row.split("|")[2:]] for row in table.strip().split("\n")[1:]]
        return len(re.findall(r"^## ", text, re.M)), re.findall(r"\]\(([^)]*)\)", text), figures

    assert facts(chinese) == facts(english)


def rows(text, heading):
    """The cells of the first table behind a heading, without its first row."""
    table = re.search(r"(?:^\|.*\n)+", text.partition(heading)[2], re.M).group()
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table.split("\n")[2:-1]]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_apaches_lines_and_figures_are_the_modules_own(name):
    module = (ROOT / "bindings/apache/README.md").read_text(encoding="utf-8")
    text = (ROOT / name).read_text(encoding="utf-8")
    measured = {cells[1:] for cells in rows(module, "## Measured\n")}
    shown = {cells[1:] for cells in rows(text, "## Apache\n")}
    assert len(shown) == 3 and shown <= measured
    lines, = re.findall(r"^<Location /echo>\n.*?^</Location>$", text, re.M | re.S)
    assert lines in module


@pytest.fixture(scope="session")
def flags(tmp_path_factory):
    """What pkg-config says of the library, installed from build/."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", ROOT / "build", "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
    config, = prefix.rglob("linkspan.pc")
    library, = prefix.rglob("liblinkspan.so")
    said = subprocess.run(["pkg-config", "--cflags", "--libs", "linkspan"], check=True, capture_output=True, text=True,
                          env={**os.environ, "PKG_CONFIG_PATH": str(config.parent)}).stdout
    return [*said.split(), f"-Wl,-rpath,{library.parent}"]


def echoes(port, path="/"):
    with connect(f"ws://127.0.0.1:{port}{path}") as peer:
        for message in ["发送数据", b"\x00\xff", ""]:
            peer.send(message)
            assert peer.recv(timeout=30) == message


def test_c(code, flags, tmp_path):
    port = free_port()
    (tmp_path / "echo.c").write_text(code("c", port))
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99", "echo.c", *flags, "-o", "echo"],
                   cwd=tmp_path, check=True)
    with accepting([tmp_path / "echo"], port):
        echoes(port)


def test_cmake(code, tmp_path):
    port = free_port()
    (tmp_path / "echo.c").write_text(code("c", port))
    block = code("cmake", port)
    assert "/the/folder/of/linkspan" in block
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(echo LANGUAGES C)\nadd_executable(echo echo.c)\n"
        + block.replace("/the/folder/of/linkspan", str(ROOT)))
    subprocess.run(["cmake", "-B", "build", f"-DLINKSPAN_CARGO_TARGET_DIR={ROOT}/target"], cwd=tmp_path, check=True)
    subprocess.run(["cmake", "--build", "build"], cwd=tmp_path, check=True)
    with accepting([tmp_path / "build/echo"], port):
        echoes(port)


def test_cpp(code, flags, tmp_path):
    def handler(peer):
        for message in peer:
            peer.send(message)

    with python_server(handler) as port:
        (tmp_path / "client.cpp").write_text(code("cpp", port))
        subprocess.run(["c++", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c++17", "client.cpp", *flags, "-o",
                        "client"], cwd=tmp_path, check=True)
        said = subprocess.run([tmp_path / "client"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "hello\n", "")


def test_python(code, tmp_path):
    port = free_port()
    (tmp_path / "echo_wsh.py").write_text(code("python", port))
    with accepting([sys.executable, "-m", "mod_pywebsocket.standalone", "-p", port, "-w", tmp_path], port):
        echoes(port, "/echo")
        said = subprocess.run([sys.executable, "-c", code("python", port, 1)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "hello\nhello\n", "")
