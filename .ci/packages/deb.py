"""Debian packages: made by cpack, and what is in them."""

import subprocess

from servers import ROOT


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def make(build, build_type, components, *options):
    """Builds, packs these components, and gives the packages' files by name."""
    run("cmake", "-S", ROOT, "-B", build, "-DCMAKE_INSTALL_PREFIX=/usr", f"-DCMAKE_BUILD_TYPE={build_type}",
        "-DLINKSPAN_TESTS=OFF", "-DLINKSPAN_EXAMPLES=OFF", f"-DLINKSPAN_CARGO_TARGET_DIR={ROOT}/target", *options)
    run("cmake", "--build", build)
    for old in build.glob("*.deb"):
        old.unlink()
    run("cpack", "-G", "DEB", "-D", f"CPACK_COMPONENTS_ALL={components}", cwd=build)
    return {path.name.split("_")[0]: path for path in build.glob("*.deb")}


def field(package, name):
    return run("dpkg-deb", "-f", package, name).strip()
