"""Every package says the version and the features that the library has."""

import json
import re

from servers import ROOT


def test_one_version_everywhere():
    cargo = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    cmake = re.search(r"^project\(linkspan VERSION (\S+) ", (ROOT / "CMakeLists.txt").read_text(), re.M).group(1)
    vcpkg = json.loads((ROOT / "packaging/vcpkg/ports/linkspan/vcpkg.json").read_text())
    assert cmake == vcpkg["version"] == cargo


def test_one_list_of_features_everywhere():
    manifest = (ROOT / "ffi/Cargo.toml").read_text()
    cargo = set(re.findall(r"^(\w+) = \[", manifest.split("[features]")[1].split("\n[")[0], re.M)) - {"default"}
    cmake = (ROOT / "CMakeLists.txt").read_text()
    vcpkg = json.loads((ROOT / "packaging/vcpkg/ports/linkspan/vcpkg.json").read_text())
    portfile = (ROOT / "packaging/vcpkg/ports/linkspan/portfile.cmake").read_text()
    assert set(vcpkg["features"]) == set(vcpkg["default-features"]) == cargo
    for feature in cargo:
        assert f"option(LINKSPAN_{feature.upper()} " in cmake
        assert f"{feature} LINKSPAN_{feature.upper()}" in portfile
