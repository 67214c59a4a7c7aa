"""What type checkers say of handlers, clients and embedders, under both names of the packages."""

import json
import re
import subprocess
import sys

import pytest

from servers import ROOT

HERE = ROOT / ".ci/typing"
SAMPLES = sorted((HERE / "samples").glob("*.py"))
EXAMPLES = sorted((ROOT / "examples/python").glob("*.py"))
# The oldest Python that the wheel runs on.
PYTHON = "3.9"


def mypy(directory, strict=True):
    """What mypy reports of the files in a directory: sentences by file's name and line."""
    # Where nothing is annotated, an empty container need not be either.
    mode = ["--strict"] if strict else ["--check-untyped-defs", "--disable-error-code", "var-annotated"]
    files = sorted(directory.glob("*.py"))
    ended = subprocess.run([sys.executable, "-m", "mypy", "--python-version", PYTHON, "--output", "json",
                            "--cache-dir", ROOT / "target/mypy", *mode, *files],
                           cwd=directory, capture_output=True, text=True)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    reports = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return {(report["file"], report["line"]): report["message"] for report in reports if report["severity"] == "error"}


def pyright(directory, strict=True):
    """The same for pyright."""
    settings = {"include": ["."], "pythonVersion": PYTHON, "typeCheckingMode": "strict" if strict else "basic",
                "reportPrivateUsage": False}
    (directory / "pyrightconfig.json").write_text(json.dumps(settings))
    ended = subprocess.run([ROOT / "target/npm/node_modules/.bin/pyright", "--pythonpath", sys.executable,
                            "--outputjson", "-p", directory], capture_output=True, text=True)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    said = json.loads(ended.stdout)
    assert said["summary"]["filesAnalyzed"] == len(list(directory.glob("*.py"))), said
    return {(report["file"].rpartition("/")[2], report["range"]["start"]["line"] + 1): report["message"]
            for report in said["generalDiagnostics"] if report["severity"] == "error"}


CHECKERS = pytest.mark.parametrize("check", [mypy, pyright])


def under_both_names(files, directory):
    """Copies of the files, and of those that do not name both already, copies that import the newer name."""
    for file in files:
        text = file.read_text()
        (directory / file.name).write_text(text)
        if "pywebsocket3" not in text:
            (directory / f"{file.stem}_pywebsocket3.py").write_text(text.replace("mod_pywebsocket", "pywebsocket3"))


@CHECKERS
def test_nothing_is_wrong_with_the_samples(check, tmp_path):
    assert len(SAMPLES) >= 4
    under_both_names(SAMPLES, tmp_path)
    assert check(tmp_path) == {}


@CHECKERS
def test_each_mistake_is_reported(check, tmp_path):
    under_both_names([HERE / "mistakes.py"], tmp_path)
    expected = {(file.name, number) for file in tmp_path.glob("*.py")
                for number, line in enumerate(file.read_text().splitlines(), 1) if re.search("# error: .", line)}
    assert len(expected) > 50
    reported = check(tmp_path)
    assert set(reported) == expected, reported


@CHECKERS
def test_nothing_is_wrong_with_the_examples(check, tmp_path):
    # They have no types of their own, so what can be seen is that they use what exists.
    assert len(EXAMPLES) > 10
    under_both_names(EXAMPLES, tmp_path)
    assert check(tmp_path, strict=False) == {}
