"""What is sent there and back, and with which compression."""

import os
import pathlib

import pytest

from servers import ROOT

HERE = pathlib.Path(__file__).parent
PROGRAMS = ROOT / "build/examples/c"
NODE = {**os.environ, "NODE_PATH": str(ROOT / "target/npm/node_modules")}
COMPRESSION = pytest.mark.parametrize("ours", [True, False], ids=["we-deflate", "we-do-not"])
THEIR_COMPRESSION = pytest.mark.parametrize("theirs", [True, False], ids=["they-deflate", "they-do-not"])

# Every way of writing a length, text beyond ASCII, what compresses and what does not.
MESSAGES = [
    "", b"", "发送数据", "\N{GRINNING FACE}" * 31, bytes(range(256)), "a" * 125, "b" * 126, b"c" * 65_535,
    b"d" * 65_536, "é" * 500_000, os.urandom(1 << 20),
]
