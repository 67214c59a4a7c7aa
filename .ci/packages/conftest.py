"""The packages that the tests look into."""

import pytest

from deb import make, run
from servers import ROOT


@pytest.fixture(scope="session")
def packages():
    """The packages of the library and of Apache's modules, by name."""
    made = make(ROOT / "target/deb", "Release", "library;dev;apache;apache_python", "-DLINKSPAN_APACHE=ON")
    assert sorted(made) == ["libapache2-mod-linkspan", "libapache2-mod-linkspan-python", "liblinkspan-dev", "liblinkspan1"]
    return made


@pytest.fixture(scope="session")
def folders(packages, tmp_path_factory):
    """The packages' contents: a folder for each."""
    unpacked = {name: tmp_path_factory.mktemp(name) for name in packages}
    for name, package in packages.items():
        run("dpkg-deb", "-x", package, unpacked[name])
    return unpacked
