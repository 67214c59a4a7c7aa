"""The Debian packages: what is in them, and that programs are built with them once they are installed."""

import os
import re
import shutil
import subprocess

import pytest

from deb import field, make, run
from servers import ROOT

NAMES = ["liblinkspan1", "liblinkspan-dev"]


@pytest.fixture
def prefix(packages, tmp_path):
    """Where the packages are installed: "" for the system, when that may be changed, and else a folder.

    The system is left as it was. Packages that someone has installed in it already are not touched."""
    there = any(subprocess.run(["dpkg-query", "-W", name], capture_output=True).returncode == 0 for name in NAMES)
    if os.geteuid() != 0 or there or not shutil.which("apt-get"):
        for name in NAMES:
            run("dpkg-deb", "-x", packages[name], tmp_path)
        yield tmp_path / "usr"
        return
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "--yes"]
    try:
        run(*apt, "install", "--no-install-recommends", *(packages[name] for name in NAMES))
        yield ""
    finally:
        run(*apt, "purge", *NAMES)
    assert "liblinkspan" not in run("ldconfig", "-p")


def test_the_library_says_what_it_needs_and_is_found_by_its_name(packages):
    depends = field(packages["liblinkspan1"], "Depends")
    assert re.search(r"libc6 \(>= 2\.\d+\)", depends) and "libgcc-s1" in depends
    version = field(packages["liblinkspan1"], "Version")
    assert f"liblinkspan1 (= {version})" in field(packages["liblinkspan-dev"], "Depends")
    shlibs = run("dpkg-deb", "-I", packages["liblinkspan1"], "shlibs")
    assert shlibs == f"liblinkspan 1 liblinkspan1 (>= {version})\n"
    assert run("dpkg-deb", "-I", packages["liblinkspan1"], "triggers") == "activate-noawait ldconfig\n"


def test_each_file_is_in_its_place(folders):
    triplet = run("gcc", "-print-multiarch").strip()
    inside = {name: {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}
              for name, top in folders.items()}
    assert inside["liblinkspan1"] == {
        f"usr/lib/{triplet}/liblinkspan.so.1",
        "usr/share/doc/liblinkspan1/changelog.gz",
        "usr/share/doc/liblinkspan1/copyright",
    }
    headers = {f"usr/include/{path.relative_to(ROOT / 'bindings/cpp')}"
               for path in (ROOT / "bindings/cpp").rglob("*.hpp") if "tests" not in path.parts}
    assert headers
    assert inside["liblinkspan-dev"] == headers | {
        "usr/include/linkspan.h",
        "usr/include/linkspan_apache.h",
        "usr/include/linkspan_apache.hpp",
        f"usr/lib/{triplet}/liblinkspan.a",
        f"usr/lib/{triplet}/liblinkspan.so",
        f"usr/lib/{triplet}/cmake/linkspan/linkspanConfig.cmake",
        f"usr/lib/{triplet}/cmake/linkspan/linkspanConfigVersion.cmake",
        f"usr/lib/{triplet}/cmake/linkspan/linkspanTargets.cmake",
        f"usr/lib/{triplet}/pkgconfig/linkspan.pc",
        "usr/share/doc/liblinkspan-dev/changelog.gz",
        "usr/share/doc/liblinkspan-dev/copyright",
    }


def test_the_libraries_are_stripped(folders):
    shared, = folders["liblinkspan1"].rglob("liblinkspan.so.1")
    static, = folders["liblinkspan-dev"].rglob("liblinkspan.a")
    sections = run("readelf", "--section-headers", "--wide", shared)
    assert ".dynsym" in sections and ".symtab" not in sections and ".debug" not in sections
    assert ".debug" not in run("readelf", "--section-headers", "--wide", static)


def test_the_licences_of_what_is_inside_are_told(folders):
    for name, top in folders.items():
        text = (top / f"usr/share/doc/{name}/copyright").read_text()
        assert "Copyright (c) The Linkspan authors" in text
        for crate in ["ring", "rustls", "mio", "zlib-rs"]:
            assert re.search(rf"^{crate} [0-9.]+: ", text, re.M), f"{crate} is not named"
            assert re.search(rf"^(.*, )?{crate}-[0-9.]+(, .*)?:$", text, re.M), f"{crate}'s licence is not there"


def test_a_build_for_another_prefix_makes_no_packages(tmp_path):
    refused = subprocess.run(["cpack", "-G", "DEB", "--config", ROOT / "build/CPackConfig.cmake", "-B", tmp_path],
                             capture_output=True, text=True)
    assert refused.returncode != 0 and "-DCMAKE_INSTALL_PREFIX=/usr" in refused.stderr
    assert not list(tmp_path.glob("*.deb"))


def test_programs_are_built_with_the_installed_packages(prefix, tmp_path):
    for how in ["find_package", "pkg_config"]:
        said = run("cmake", f"-DHOW={how}", f"-DBINARY={tmp_path}/{how}", f"-DPREFIX={prefix}",
                   "-DGENERATOR=Unix Makefiles", "-DTLS=ON", "-DDEFLATE=ON", "-P",
                   ROOT / "packaging/tests/consumer.cmake")
        assert said.count("echoed") == 4


def test_the_command_is_a_package_of_its_own(tmp_path):
    made = make(ROOT / "target/deb-command", "Debug", "command", "-DLINKSPAN_CLI=ON")
    assert sorted(made) == ["linkspan"]
    run("dpkg-deb", "-x", made["linkspan"], tmp_path)
    version = field(made["linkspan"], "Version")
    assert run(tmp_path / "usr/bin/linkspan", "--version") == f"linkspan {version}\n"
    assert ".symtab" not in run("readelf", "--section-headers", "--wide", tmp_path / "usr/bin/linkspan")
    assert "libc6" in field(made["linkspan"], "Depends")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert {"usr/share/man/man1/linkspan.1", "usr/share/bash-completion/completions/linkspan",
            "usr/share/doc/linkspan/copyright", "usr/share/doc/linkspan/changelog.gz"} <= files
