"""A well-known tutorial to the letter: `python standalone.py -p 9998 -w ../example/`, typed in the installed
package's folder, and a page that sends on open and closes on the echo. Only the port is another one."""

import importlib.metadata
import shutil
import sys

from servers import ROOT

ECHO = '''\
def web_socket_do_extra_handshake(request):
    pass


def web_socket_transfer_data(request):
    while True:
        line = request.ws_stream.receive_message()
        if line is None:
            return
        request.ws_stream.send_message(line)
'''


def installed(folder):
    """Copies what the wheel installed, so that an `example` folder can stand beside it."""
    for file in importlib.metadata.files("linkspan"):
        if ".." not in file.parts:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), folder / file)
    (folder / "example").mkdir()
    (folder / "example/echo_wsh.py").write_text(ECHO)
    return folder / "mod_pywebsocket"


def test_the_tutorial_runs_to_the_letter(page, standalone, tmp_path):
    port = standalone([sys.executable, "standalone.py"], "-w", "../example/", cwd=installed(tmp_path))
    html = (ROOT / "examples/html/tutorial.html").read_text(encoding="utf-8")
    assert "ws://localhost:9998/echo" in html
    (tmp_path / "tutorial.html").write_text(html.replace("9998", str(port)), encoding="utf-8")

    page.open(f"file://{tmp_path}/tutorial.html")
    page.click("#run")
    page.until("document.querySelector('#log').children.length === 3")
    lines = page.run("Array.from(document.querySelectorAll('#log li'), line => line.textContent)")
    assert lines == ["数据发送中……", "收到数据：发送数据", "连接已关闭：1000"]
