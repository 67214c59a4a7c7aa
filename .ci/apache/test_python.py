"""LinkspanHandler python: handler files of mod_pywebsocket inside of Apache, beside the stand-alone server."""

import contextlib
import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, ask, closed_with, closing, connect, frame
from httpd import OURS, wait_for
from readable import EXAMPLES, HANDLERS, MODULE
from servers import announcing
from test_handlers import TOGETHER
from test_handshake import GOOD

FAULTS = [struct.pack("!H", code) for code in (1002, 1007)]
WHAT_IS_COMPARED = ("sec-websocket-protocol", "set-cookie", "strict-transport-security", "x-one")


def python(root, more="", location=""):
    """Handler files in a directory, served where nothing else is."""
    return (f"{MODULE}LinkspanPythonHandlerRoot {root}\n{more}\n"
            f"<Location />\nSetHandler linkspan\nLinkspanHandler python\n{location}\n</Location>\n")


def written(folder, **files):
    """A directory with these handler files, which the server's children can read."""
    folder = pathlib.Path(folder) / "handlers"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}_wsh.py").write_text(text)
    return folder


# --- the same as the stand-alone server ---------------------------------------------------------------------------


class Standalone:
    def __init__(self, url):
        self.port = int(url.rsplit(":", 1)[1].strip("/\n"))


@pytest.fixture(scope="module", params=["examples", "handlers"])
def both(request, certificate):
    from conftest import running
    root = EXAMPLES if request.param == "examples" else HANDLERS
    with announcing(sys.executable, "-m", "mod_pywebsocket.standalone", "-p", "0", "-H", "127.0.0.1", "-w", root,
                    stderr=subprocess.DEVNULL) as (url, _):
        with running(certificate, python(root, location="LinkspanOrigin any")) as server:
            server.handlers = request.param
            yield server, Standalone(url)


def talk(server, path, frames=(), more=()):
    """What a client that writes these frames at once hears: status, some header fields, frames, and the end."""
    with Raw(server, path, send=False) as raw:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *GOOD, *more]
        raw.send(("\r\n".join(lines) + "\r\n\r\n").encode() + b"".join(frames))
        try:
            head = raw.read_head().split("\r\n")
        except EOFError:
            return "no answer"
        status = int(head[0].split()[1])
        fields = sorted(line.strip() for line in head[1:] if line.partition(":")[0].lower() in WHAT_IS_COMPARED)
        heard = []
        while status == 101:
            try:
                one = raw.receive()
            except (EOFError, ConnectionResetError):
                break
            if one[0] == CLOSE and one[1][:2] in FAULTS:
                # The library says why, the stand-alone server does not.
                one = CLOSE, one[1][:2]
            heard.append(one)
            if one[0] == CLOSE:
                with contextlib.suppress(OSError):
                    raw.send(frame(CLOSE, one[1]))
        return status, fields, heard


CLOSED = closing(1000, b"bye")
TALKS = {
    "examples": [
        ("/echo", [frame(TEXT, b"hello"), frame(BINARY, b"\0\xff"), frame(TEXT, b""), CLOSED]),
        ("/echo?with=query", [frame(TEXT, b"Goodbye")]),
        ("/echo", [frame(TEXT, b"x" * 70000), frame(BINARY, b""), closing(4999)]),
        ("/echo", [frame(TEXT, b"in "), frame(CONTINUATION, b"pieces"), CLOSED]),
        ("/echo", [frame(TEXT, b"in ", fin=False), frame(PING, b"still there?"), frame(CONTINUATION, b"pieces"), CLOSED]),
        ("/echo", [frame(PING, b"x" * 125), frame(PONG, b"nobody asked"), frame(CLOSE)]),
        ("/echo", [frame(TEXT, b"\xff"), CLOSED]),
        ("/echo", [frame(TEXT, b"\xc3", fin=False), frame(CONTINUATION, b"\xbc"), CLOSED]),
        ("/echo", [frame(CLOSE, b"x")]),
        ("/echo", [closing(999)]),
        ("/echo", [closing(1000, b"\xff")]),
        ("/echo", [b"\x81\x02hi"]),
        ("/echo", [frame(CONTINUATION, b"of nothing")]),
        ("/echo", [frame(TEXT, b"one", fin=False), frame(TEXT, b"two")]),
        ("/echo", [frame(PING, b"piece", fin=False)]),
        ("/close", [frame(TEXT, b"3001 because I can")]),
        ("/close", [frame(TEXT, b"empty")]),
        ("/close", [frame(TEXT, b"abort")]),
        ("/close", [frame(TEXT, b"1005 never")]),
        ("/close", [frame(TEXT, b"5000 too high")]),
        ("/close", [closing(4001, "gr\u00fcn".encode())]),
        ("/close", [frame(CLOSE)]),
        ("/cookie?set", [CLOSED]),
        ("/cookie?clear", [CLOSED], ["Cookie: foo=bar"]),
        ("/hsts", [CLOSED]),
        ("/origin_check", [CLOSED], ["Origin: http://localhost"]),
        ("/origin_check", [CLOSED], ["Origin: http://elsewhere"]),
        ("/origin_check", [CLOSED]),
        ("/abort_handshake", []),
        ("/abort", []),
        ("/internal_error", []),
        ("/bench", [frame(TEXT, b"0 3 tick")]),
        ("/benchmark_helper", [frame(TEXT, b"receive 5"), frame(TEXT, b"send 1"), frame(BINARY, b"aaa"), CLOSED]),
        ("/echo", [CLOSED], ["Sec-WebSocket-Protocol: one, two"]),
        ("/close", [CLOSED], ["Sec-WebSocket-Protocol: one, two"]),
        ("/nothing", []),
    ],
    "handlers": [
        ("/facts?a=1&b=%20", [CLOSED], ["X-Some: thing", "Sec-WebSocket-Protocol: chat"]),
        ("/sends", [CLOSED]),
        ("/pings", [frame(PING, b"one"), frame(PONG, b"two"), frame(TEXT, b"x"), CLOSED]),
        ("/asks", [frame(PONG, b"asked"), frame(TEXT, b"x"), CLOSED]),
        ("/refuses?ValueError", []),
        ("/refuses?HandshakeException", []),
        ("/refuses?protocol", []),
        ("/refuses?unasked", []),
        ("/refuses?write", []),
        ("/headers", [CLOSED]),
        ("/misuses?send", [CLOSED]),
        ("/misuses?receive", [CLOSED]),
        ("/misuses?text", [CLOSED]),
        ("/misuses?reason", [CLOSED]),
        ("/misuses?surrogate", [CLOSED]),
        ("/misuses?change", [CLOSED]),
        ("/passive?none", [CLOSED]),
        ("/passive?other", [CLOSED]),
        ("/passive?1005", [CLOSED]),
        ("/misuses?twice", []),
        ("/threads", [frame(TEXT, b"go"), CLOSED]),
        ("/messages", [frame(TEXT, b"first"), frame(TEXT, b"second"), CLOSED]),
    ],
}


@pytest.mark.parametrize("number", range(max(map(len, TALKS.values()))))
def test_handlers_say_what_they_say_in_the_standalone_server(both, number):
    server, standalone = both
    talks = TALKS[server.handlers]
    if number >= len(talks):
        return
    path, frames, *more = talks[number]
    more = more[0] if more else []
    expected = talk(standalone, path, frames, more)
    assert talk(server, path, frames, more) == expected


def test_raw_bytes_are_refused_with_a_sentence(apache):
    server = apache(python(HANDLERS))
    with Raw(server, "/raw") as raw:
        assert raw.receive() == (TEXT, b"inside of Apache a handler can not write raw bytes; ws_stream sends messages")
        assert raw.receive() == (TEXT, b"inside of Apache a handler can not read raw bytes; ws_stream receives messages")


# --- what is Apache's ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_the_echo_of_the_examples(carried, tls):
    server = carried(python(EXAMPLES))
    with connect(server, "/echo", tls=tls) as socket:
        for message in ("hello", b"bytes", "", "\u00fc" * 1000, b"x" * 1000000):
            socket.send(message)
            assert socket.recv() == message
        socket.send("Goodbye")
        assert socket.recv() == "Goodbye"
        socket.pump(30, lambda: False)
        assert socket.close_code == 1000
    with connect(server, "/hsts", tls=tls) as socket:
        assert socket.recv() == ("TLS only" if tls else "this connection is without TLS")


def test_what_no_handler_has_is_apaches(apache):
    server = apache(python(EXAMPLES, "ErrorDocument 403 \"not you\"", "LinkspanOrigin any"))
    assert ask(server, "/index.html")[2] == b"a plain page\n"
    assert ask(server, "/nothing", GOOD)[0] == 404
    assert ask(server, "/echo")[0] == 426
    status, _, body = ask(server, "/origin_check", [*GOOD, "Origin: http://elsewhere"])
    assert (status, body) == (403, b"not you")


def test_origins_are_judged_before_the_handler(apache):
    server = apache(python(EXAMPLES))
    assert ask(server, "/echo", [*GOOD, "Origin: http://elsewhere"])[0] == 403
    assert ask(server, "/echo", [*GOOD, "Origin: https://127.0.0.1"])[0] == 101


def test_compression_is_the_librarys(apache):
    server = apache(python(EXAMPLES, location="LinkspanCompression On"))
    for path, extension in (("/echo", "permessage-deflate"), ("/echo_noext", None)):
        with connect(server, path) as socket:
            agreed = socket.response.headers.get("Sec-WebSocket-Extensions")
            assert (agreed or "").partition(";")[0] == (extension or "")
            socket.send("x" * 100000)
            assert socket.recv() == "x" * 100000
    server = apache(python(EXAMPLES))
    with connect(server, "/echo") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
    server = apache(python(HANDLERS, location="LinkspanCompression On"))
    with connect(server, "/facts") as socket:
        assert "permessage-deflate" in json.loads(socket.recv())["ws_extensions"]


def test_what_a_handler_raises_ends_its_own_socket(apache):
    server = apache(TOGETHER + python(HANDLERS))
    with connect(server, "/messages") as other:
        for kind in ("ValueError", "SystemExit", "KeyboardInterrupt", "OSError"):
            with Raw(server, f"/raises?{kind}") as raw:
                raw.send(frame(TEXT, b"x"))
                assert closed_with(raw) == 1011
                wait_for(lambda said=f"{kind}: on purpose": said in server.errors(), 30, "it is not logged")
        errors = server.errors()
        assert f'File "{HANDLERS}/raises_wsh.py", line ' in errors and "Traceback (most recent call last):" in errors
        other.send("still")
        assert other.recv() == "[1, \"still\"]"


def test_no_handler_ends_the_process(apache, place):
    root = written(place, leaves="""
import sys
def web_socket_do_extra_handshake(request):
    sys.exit(3)
def web_socket_transfer_data(request):
    pass
""")
    server = apache(TOGETHER + python(root))
    children = server.children()
    assert ask(server, "/leaves", GOOD)[0] == 500
    assert f'File "{root}/leaves_wsh.py", line 4' in server.errors() and "SystemExit: 3" in server.errors()
    assert server.children() == children
    (root / "at_once_wsh.py").write_text("import sys\nsys.exit(3)\n")
    server = apache(TOGETHER + python(root))
    assert ask(server, "/leaves", GOOD)[0] == 500
    assert f'File "{root}/at_once_wsh.py", line 2' in server.errors()
    assert len(server.children()) == 1


def test_a_message_that_is_too_long_closes_with_1009(apache):
    server = apache(python(EXAMPLES, location="LinkspanMaxMessageSize 1000"))
    with Raw(server, "/echo") as raw:
        raw.send(frame(TEXT, b"x" * 1001))
        assert closed_with(raw) == 1009


def test_a_reader_that_waits_gets_everything(carried):
    """More than LinkspanMaxQueue in one message, and in many: the handler waits, and nothing is lost."""
    server = carried(python(HANDLERS, location="LinkspanMaxQueue 64K"))
    for path in ("/much?1", "/much?200"):
        with Raw(server, path, receive_buffer=4096) as raw:
            opcode, got = None, 0
            while opcode != CLOSE:
                opcode, payload = raw.receive()
                got += len(payload) if opcode != CLOSE else 0
            assert got == 20000000, (path, got)


def test_a_writer_waits_for_a_handler_that_does_not_read(apache):
    server = apache(TOGETHER + python(HANDLERS))
    with Raw(server, "/waits") as raw:
        raw.socket.settimeout(2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                sent += raw.socket.send(frame(BINARY, b"x" * 60000, mask=b"\0\0\0\0"))
        assert sent < 32 << 20, "everything is taken, and waits in memory"
        # Others are served meanwhile.
        with connect(server, "/messages") as other:
            other.send("x")
            assert other.recv() == "[1, \"x\"]"


def test_who_is_told_something_is_not_idle(carried):
    server = carried(python(HANDLERS, location="LinkspanIdleTimeout 1"))
    with Raw(server, "/ticks") as raw:
        for number in range(8):
            assert raw.receive() == (TEXT, b"%d" % number)
        assert raw.receive() == (CLOSE, b"\x03\xe9idle")


def test_more_handlers_than_threads_are_refused(apache):
    server = apache(TOGETHER + python(EXAMPLES, "LinkspanPythonMaxThreads 2"))
    with connect(server, "/echo"), connect(server, "/echo"):
        status, fields, _ = ask(server, "/echo", GOOD)
        assert (status, fields["retry-after"]) == (503, "5")
        assert ask(server, "/index.html")[0] == 200
        assert "LinkspanPythonMaxThreads" in server.errors()
    wait_for(lambda: ask(server, "/echo", GOOD)[0] == 101, 30, "the threads stay")


def test_a_handshake_that_takes_too_long_is_refused(carried, place):
    gate = pathlib.Path(place) / "gate"
    os.mkfifo(gate, 0o666)
    gate.chmod(0o666)
    root = written(place, slow=f"""
def web_socket_do_extra_handshake(request):
    open({str(gate)!r}).read()
def web_socket_transfer_data(request):
    raise AssertionError('nobody is there')
""")
    server = carried(python(root, "LinkspanPythonHandshakeTimeout 300ms"))
    status, fields, _ = ask(server, "/slow", GOOD)
    assert (status, fields["retry-after"]) == (503, "5")
    assert "LinkspanPythonHandshakeTimeout" in server.errors()
    gate.write_text("")
    assert ask(server, "/index.html")[0] == 200
    assert "nobody is there" not in server.errors()


# --- files and directives -----------------------------------------------------------------------------------------

GOOD_FILE = """
def web_socket_do_extra_handshake(request):
    pass
def web_socket_transfer_data(request):
    import %s
    request.ws_stream.send_message(str(%s))
"""


def test_broken_files_are_said_and_the_others_are_served(apache, configured, place):
    root = written(place, syntax="def x(:\n", raises="import os\nos.nothing\n", lacks="x = 1\n",
                   good=GOOD_FILE % ("sys", "1"), waits="async " + GOOD_FILE.strip() % ("sys", "1"))
    server = apache(python(root))
    with connect(server, "/good") as socket:
        assert socket.recv() == "1"
    errors = server.errors()
    assert f'File "{root}/syntax_wsh.py", line 1' in errors
    assert f'File "{root}/raises_wsh.py", line 2' in errors
    assert f"{root}/lacks_wsh.py: web_socket_do_extra_handshake is not defined." in errors
    assert f"{root}/waits_wsh.py" in errors and "async" in errors
    for path in ("/syntax", "/raises", "/lacks", "/waits"):
        assert ask(server, path, GOOD)[0] == 404
    content, words = configured(python(root)).check()
    assert content and f"{root}/syntax_wsh.py:1: " in words, words
    assert "good_wsh.py" not in words


def test_links_lead_outside_only_where_they_may(apache, place):
    root = written(place)
    (root / "linked_wsh.py").symlink_to(EXAMPLES / "echo_wsh.py")
    assert ask(apache(python(root)), "/linked", GOOD)[0] == 404
    assert ask(apache(python(root, "LinkspanPythonAllowOutsideRoot On")), "/linked", GOOD)[0] == 101


def test_a_part_of_the_root_is_looked_through(apache, place):
    root = written(place, top=GOOD_FILE % ("sys", "1"))
    (root / "below").mkdir()
    (root / "below" / "deep_wsh.py").write_text(GOOD_FILE % ("sys", "1"))
    server = apache(python(root, f"LinkspanPythonHandlerScan {root}/below"))
    assert ask(server, "/below/deep", GOOD)[0] == 101
    assert ask(server, "/top", GOOD)[0] == 404


def test_handlers_import_from_the_path(apache, place):
    root = written(place, one=GOOD_FILE % ("some_of_mine", "some_of_mine.ANSWER"))
    (pathlib.Path(place) / "more").mkdir()
    (pathlib.Path(place) / "more" / "some_of_mine.py").write_text("ANSWER = 42\n")
    server = apache(python(root, f"LinkspanPythonPath {place}/more"))
    with connect(server, "/one") as socket:
        assert socket.recv() == "42"


@pytest.fixture(scope="module")
def program():
    """The Python that the module is built with."""
    words = (OURS / "mod_linkspan_python.so").read_bytes()
    start = words.index(b"/bin/python3.")
    begin = words.rindex(b"\0", 0, start) + 1
    return words[begin:words.index(b"\0", begin)].decode()


def test_a_virtual_environment(apache, place, program):
    subprocess.run([program, "-m", "venv", "--without-pip", f"{place}/home"], check=True)
    packages, = pathlib.Path(place, "home/lib").glob("python*/site-packages")
    (packages / "only_there.py").write_text("ANSWER = 43\n")
    root = written(place, one=GOOD_FILE % ("only_there, sys", "(only_there.ANSWER, sys.prefix)"))
    server = apache(python(root, f"LinkspanPythonHome {place}/home"))
    with connect(server, "/one") as socket:
        assert socket.recv() == str((43, f"{place}/home"))


@pytest.mark.parametrize("line, sentence", [
    ("LinkspanPythonHandlerRoot /nothing/here", "there is no such directory"),
    ("LinkspanPythonHandlerScan /nothing/here", "there is no such directory"),
    ("LinkspanPythonPath /nothing/here", "there is no such directory"),
    ("LinkspanPythonHome /etc", "has no lib/python3."),
    ("LinkspanPythonMaxThreads 0", "is a number from 1 to 100000"),
    ("LinkspanPythonMaxThreads many", "is a number from 1 to 100000"),
    ("LinkspanPythonHandshakeTimeout 0", "is a time from 1ms to an hour"),
    ("LinkspanPythonAllowOutsideRoot maybe", "must be On or Off"),
    ("<Location />\nLinkspanPythonMaxThreads 3\n</Location>", "not allowed"),
    ("<Location />\nLinkspanHandler python /some/where\n</Location>", "stands alone"),
    ("<Location />\nLinkspanHandler python\n</Location>", "needs LinkspanPythonHandlerRoot"),
])
def test_mistakes_are_said(configured, line, sentence):
    content, words = configured(MODULE + line).check()
    assert not content and sentence in words, words


def test_the_module_is_asked_for(configured):
    content, words = configured("<Location />\nLinkspanHandler python\n</Location>").check()
    assert not content and "LoadModule linkspan_python_module" in words
