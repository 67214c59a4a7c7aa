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
def cargo():
    folder = ROOT / "target/conan"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def conan(cargo, tmp_path):
    env = {**os.environ, "CONAN_HOME": str(tmp_path / "conan"), "CARGO_TARGET_DIR": str(cargo),
           "CARGO_PROFILE_DEV_DEBUG": "false", "CARGO_INCREMENTAL": "0"}

    def run(*arguments):
        done = subprocess.run([CONAN, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    yield run
    shutil.rmtree(tmp_path / "conan")


@pytest.mark.parametrize("options", [{"shared": True, "tls": True}, {"shared": False, "tls": False}],
                         ids=["shared", "static_without_tls"])
def test_programs_are_built_with_the_package(conan, options, tmp_path):
    conan("profile", "detect")
    chosen = [word for name, value in options.items() for word in ("-o", f"&:{name}={value}")]
    said = conan("create", ROOT / "packaging/conan", "--no-remote", "-s", "build_type=Debug", *chosen,
                 "-c", f"tools.cmake.cmake_layout:test_folder={tmp_path}/test")
    assert said.count(": echoed") == 2
    licence, = tmp_path.glob("conan/p/**/p/licenses/copyright")
    libraries = {path.name for path in (licence.parents[1] / "lib").iterdir()}
    assert libraries == ({"liblinkspan.so", "liblinkspan.so.1"} if options["shared"] else {"liblinkspan.a"})
