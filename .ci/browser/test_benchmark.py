"""The benchmark page in examples/html, in a real browser, against the installed wheel."""

import re
import sys

import pytest

from servers import ROOT

PAGES = ROOT / "examples/html"
HANDLERS = ROOT / "examples/python"
SCREENSHOTS = ROOT / "target/browser"
SERVER = [sys.executable, "-m", "mod_pywebsocket.standalone", "-H", "127.0.0.1", "-d", PAGES]
SAID = "document.querySelector('#status').textContent"
ENDED = f"/^(Done|Stopped|Not finished)/.test({SAID})"


def text(page, selector):
    return page.run(f"document.querySelector('{selector}').textContent")


def number(figure):
    return float(re.match(r"[\d.,]+", figure).group().replace(",", ""))


def opened(page, port, scheme="http"):
    page.open(f"{scheme}://localhost:{port}/benchmark.html")
    page.run("document.querySelector('#largest').value = '65536'")
    page.run("document.querySelector('#seconds').value = '0.1'")


def ran(page):
    page.click("#run")
    page.until(ENDED, seconds=60)
    return text(page, "#status")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("checked", [False, True])
def test_a_run_fills_the_chart_and_the_table(page, standalone, certificate, scheme, checked):
    cert, key, _ = certificate
    tls = ["-t", "-k", key, "-c", cert] if scheme == "https" else []
    opened(page, standalone(SERVER, "-w", HANDLERS, *tls), scheme)
    if checked:
        page.click("#check")
    assert ran(page) == "Done." and text(page, "#problem") == ""
    table = page.run("[...document.querySelectorAll('#results tbody tr')].map(row => [...row.cells].map(c => c.textContent))")
    assert [row[0] for row in table] == ["64 B", "256 B", "1 KiB", "4 KiB", "16 KiB", "64 KiB"]
    for size, row in zip((64, 256, 1024, 4096, 16384, 65536), table):
        for megabytes, messages in (row[1:3], row[3:5]):
            assert number(megabytes) > 0 and messages.endswith("/s")
            # One figure is the other times the size; both have three digits.
            assert number(megabytes) == pytest.approx(number(messages) * size / 1e6, rel=0.03, abs=0.006)
    for column, figure in ((1, "best-sent"), (3, "best-received")):
        assert number(text(page, "#" + figure)) == max(number(row[column]) for row in table)
    assert number(text(page, "#trip")) > 0 and number(text(page, "#rate")) > 0
    # A higher figure is a higher point.
    for column, line in ((1, "sent"), (3, "received")):
        points = page.run(f"document.querySelector('#chart polyline.{line}').getAttribute('points')").split(" ")
        heights = [-float(point.split(",")[1]) for point in points]
        figures = [number(row[column]) for row in table]
        assert sorted(range(6), key=heights.__getitem__) == sorted(range(6), key=figures.__getitem__)
    assert page.run("document.querySelectorAll('#chart rect.sent, #chart circle.received').length") == 12


def test_a_run_can_be_stopped_and_begun_again(page, standalone):
    opened(page, standalone(SERVER, "-w", HANDLERS))
    page.run("document.querySelector('#seconds').value = '3'")
    page.click("#run")
    page.until(f"{SAID}.startsWith('64 B, going')")
    assert page.run("document.querySelector('#run').disabled && document.querySelector('#choices').disabled")
    page.click("#stop")
    page.until(ENDED)
    assert text(page, "#status") == "Stopped." and text(page, "#problem") == ""
    page.run("document.querySelector('#seconds').value = '0.1'")
    assert ran(page) == "Done."


def test_a_server_that_is_not_there_is_said(page, standalone):
    opened(page, standalone(SERVER, "-w", HANDLERS))
    page.fill("#url", "ws://127.0.0.1:1/")
    assert ran(page) == "Not finished."
    assert text(page, "#problem") == (
        "No connection to ws://127.0.0.1:1/benchmark_helper. Does the server run, with the handlers of examples/python?")


@pytest.mark.parametrize("address", ["nonsense", "http://localhost/"])
def test_an_address_that_is_none_is_said(page, standalone, address):
    opened(page, standalone(SERVER, "-w", HANDLERS))
    page.fill("#url", address)
    page.click("#run")
    assert text(page, "#problem").startswith(f"{address} is not the address of a WebSocket server: ")
    assert not page.run("document.querySelector('#run').disabled")


LYING = """
def web_socket_do_extra_handshake(request):
    pass

def web_socket_transfer_data(request):
    while True:
        command = request.ws_stream.receive_message().split()
        if command[0] == 'send':
            request.ws_stream.receive_message()
            request.ws_stream.send_message('7')
        elif command[1] == '1':
            request.ws_stream.send_message(b'a', binary=True)
        else:
            request.ws_stream.send_message(b'b' * int(command[1]), binary=True)
"""


@pytest.mark.parametrize("change, problem", [
    (("", ""), "The server says that 7 bytes came, of 64 that were sent."),
    (("'7'", "'64'"), "Byte 0 of a message of 64 B is not the one that was sent."),
    (("send_message('7')", "close_connection(3000, 'enough')"),
     r"The connection to ws://localhost:\d+/benchmark_helper ended with code 3000 while messages of 64 B were going"
     " to the server."),
])
def test_a_server_that_lies_is_found_out(page, standalone, tmp_path, change, problem):
    (tmp_path / "benchmark_helper_wsh.py").write_text(LYING.replace(*change))
    opened(page, standalone(SERVER, "-w", tmp_path))
    page.click("#check")
    assert ran(page) == "Not finished."
    assert re.fullmatch(problem, text(page, "#problem"))


@pytest.mark.parametrize("name, width, dark", [("light", 900, False), ("dark", 900, True), ("phone", 320, True)])
def test_the_page_fits_and_is_photographed(page, standalone, name, width, dark):
    opened(page, standalone(SERVER, "-w", HANDLERS))
    assert ran(page) == "Done."
    shot = SCREENSHOTS / f"benchmark-{name}.png"
    page.screenshot(shot, width=width, height=1500, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert shot.stat().st_size > 10_000
