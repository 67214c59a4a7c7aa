"""The Conan recipe makes a package, and programs are built with it. In a Conan home and a cargo folder of its own,
both thrown away: each run packs other sources, and Conan gives each a place of its own to be compiled in."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from servers import ROOT

CONAN = pathlib.Path(sys.executable).parent / "conan"


@pytest.fixture(scope="module")
def home():
    top = ROOT / "target/conan"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    yield top
    shutil.rmtree(top)


def conan(home, *arguments):
    env = {**os.environ, "CONAN_HOME": str(home / "home"), "CARGO_TARGET_DIR": str(home / "cargo"),
           "CARGO_PROFILE_DEV_DEBUG": "false", "CARGO_INCREMENTAL": "0"}
    done = subprocess.run([CONAN, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("options", [{"shared": True, "tls": True}, {"shared": False, "tls": False}],
                         ids=["shared", "static_without_tls"])
def test_programs_are_built_with_the_package(home, options):
    conan(home, "profile", "detect", "--exist-ok")
    chosen = [word for name, value in options.items() for word in ("-o", f"&:{name}={value}")]
    said = conan(home, "create", ROOT / "packaging/conan", "--no-remote", "-s", "build_type=Debug", *chosen,
                 "-c", f"tools.cmake.cmake_layout:test_folder={home}/test")
    assert said.count(": echoed") == 2
    package, = (path for path in home.glob("home/p/**/p/licenses/copyright"))
    package = package.parents[1]
    libraries = {path.name for path in (package / "lib").iterdir()}
    assert libraries == ({"liblinkspan.so", "liblinkspan.so.1"} if options["shared"] else {"liblinkspan.a"})
    shutil.rmtree(package)
