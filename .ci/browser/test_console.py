"""The console page in examples/html, in a real browser, against the installed wheel."""

import sys

import pytest

from servers import ROOT

PAGES = ROOT / "examples/html"
HANDLERS = ROOT / "examples/python"
SCREENSHOTS = ROOT / "target/browser"
SERVER = [sys.executable, "-m", "mod_pywebsocket.standalone", "-H", "127.0.0.1", "-w", HANDLERS, "-d", PAGES]
STATE = "document.querySelector('#state').textContent"


def text(page, selector):
    return page.run(f"document.querySelector('{selector}')?.textContent ?? ''")


def rows(what):
    return f"document.querySelectorAll('#log [data-what={what}]').length"


def echo(page, message):
    """Types a message, sends it with Enter, and returns what came back."""
    before = page.run(rows("received"))
    page.fill("#message", message)
    page.press_enter()
    page.until(f"{rows('received')} > {before}")
    return text(page, "#log [data-what=received] .text")


def connect(page):
    page.click("#connect")
    page.until(f"{STATE} === 'OPEN'")


def close(page):
    page.click("#close")
    page.until(f"{STATE} === 'CLOSED'")
    return text(page, "#ended")


def a_whole_visit(page):
    connect(page)
    assert text(page, "#ready") == "1 OPEN"
    assert echo(page, "Hello, 世界") == "Hello, 世界"
    assert echo(page, "") == ""
    page.click("[value=binary]")
    page.click("#message")
    assert echo(page, "é") == "c3 a9 (2 bytes)"
    assert text(page, "#sent") == text(page, "#received") == "3 · 15 B"
    assert text(page, "#buffered") == "0"
    assert text(page, "#trip").endswith(" ms")
    assert close(page) == "code 1000 (normal closure), no reason, clean"
    assert text(page, "#ready") == "3 CLOSED"


def test_text_and_binary_come_back_over_ws(page, standalone):
    page.open(f"http://localhost:{standalone(SERVER)}/")
    a_whole_visit(page)


def test_text_and_binary_come_back_over_wss(page, standalone, certificate):
    cert, key, _ = certificate
    page.open(f"https://localhost:{standalone(SERVER, '-t', '-k', key, '-c', cert)}/")
    assert page.run("document.querySelector('#url').value").startswith("wss://localhost:")
    a_whole_visit(page)


def test_text_and_binary_come_back_when_the_page_is_a_file(page, standalone):
    page.open(f"file://{PAGES}/index.html")
    assert page.run("document.querySelector('#url').value") == "ws://localhost:9998/echo"
    page.fill("#url", f"ws://localhost:{standalone(SERVER)}/echo")
    a_whole_visit(page)


def test_the_close_shows_the_code_and_the_reason_that_were_sent(page, standalone):
    page.open(f"http://localhost:{standalone(SERVER)}/")
    connect(page)
    page.click("summary")
    page.fill("#code", "4001")
    page.fill("#reason", "再见")
    assert close(page) == "code 4001 (the application's own), reason “再见”, clean"


def test_a_large_message_comes_back(page, standalone):
    page.open(f"http://localhost:{standalone(SERVER)}/")
    connect(page)
    shown = echo(page, "0123456789" * 100_000)
    assert shown == "0123456789" * 100 + " … (1,000,000 characters)"
    assert text(page, "#received") == "1 · 1,000,000 B"
    assert text(page, "#trip").endswith(" ms")  # found among what was sent, so every character is the same


def test_a_file_goes_as_bytes(page, standalone, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    page.open(f"http://localhost:{standalone(SERVER)}/")
    connect(page)
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    for times in (1, 2):
        page.call("DOM.setFileInputFiles", nodeId=node, files=[str(tmp_path / "file")])
        page.until(f"{rows('received')} === {times}")
    assert text(page, "#log [data-what=received] .text").endswith(" 1d 1e 1f … (256,000 bytes)")
    assert text(page, "#trip").endswith(" ms")


def test_subprotocols_are_asked_for(page, standalone):
    page.open(f"http://localhost:{standalone(SERVER)}/")
    page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.fill("#protocols", " chat, , superchat ")
    connect(page)
    assert "(chat; permessage-deflate)" in text(page, "#log [data-what=opened] .text")
    close(page)
    page.fill("#protocols", "not one")
    page.click("#connect")
    assert text(page, "#problem").startswith("ws://localhost:")
    assert " with the subprotocols not one cannot be opened: " in text(page, "#problem")


def test_a_server_that_is_not_there_is_said(page):
    page.open(f"file://{PAGES}/index.html")
    page.fill("#url", "ws://127.0.0.1:1/echo")
    page.click("#connect")
    page.until("!document.querySelector('#problem').hidden")
    assert text(page, "#problem") == "No connection to ws://127.0.0.1:1/echo, or it was lost. Does the server run?"
    assert text(page, "#ended") == "code 1006 (no close frame came), no reason, not clean"


@pytest.mark.parametrize("url", ["nonsense://x", "ws://localhost/#part"])
def test_an_address_that_is_none_is_said(page, url):
    page.open(f"file://{PAGES}/index.html")
    page.fill("#url", url)
    page.click("#connect")
    assert text(page, "#problem").startswith(f"{url} cannot be opened: ")
    assert text(page, "#ready") == "no socket"


def test_a_browser_without_websocket_is_told(page):
    page.call("Page.addScriptToEvaluateOnNewDocument", source="delete window.WebSocket")
    page.open(f"file://{PAGES}/index.html")
    assert text(page, "#problem").startswith("This browser has no WebSocket")
    assert page.run("document.querySelector('#connect').disabled")


@pytest.mark.parametrize("name, width, dark", [("light", 900, False), ("dark", 900, True), ("phone", 320, False)])
def test_the_page_fits_and_is_photographed(page, standalone, name, width, dark):
    page.open(f"http://localhost:{standalone(SERVER)}/")
    connect(page)
    echo(page, "发送数据")
    page.until("document.getAnimations().every(one => one.playState !== 'running' || one.animationName)")
    page.screenshot(SCREENSHOTS / f"console-{name}.png", width=width, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert (SCREENSHOTS / f"console-{name}.png").stat().st_size > 10_000
