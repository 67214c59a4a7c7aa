"""Linkspan for Conan 2. From a checkout:

    conan create packaging/conan

Cargo fetches the crates as part of the sources; the build itself is offline. Rust must be installed.
"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.env import Environment
from conan.tools.files import copy, load, rm, rmdir

required_conan_version = ">=2.0"

# What the build reads. Cargo reads the manifest of every member of the workspace, so they are all here.
SOURCES = [
    "CMakeLists.txt", "Cargo.lock", "Cargo.toml", "LICENSE-*", "bench/*", "bindings/*", "core/*", "ffi/*", "include/*",
    "packaging/*", "python/Cargo.toml", "python/src/*",
]


class Linkspan(ConanFile):
    name = "linkspan"
    description = "WebSocket library for C and C++, servers and clients"
    license = "MIT OR Apache-2.0"
    topics = ("websocket", "rfc6455", "permessage-deflate")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "tls": [True, False], "deflate": [True, False]}
    default_options = {"shared": False, "tls": True, "deflate": True}

    def set_version(self):
        manifest = load(self, os.path.join(self.recipe_folder, "../../Cargo.toml"))
        self.version = re.search(r'^version = "(.+)"$', manifest, re.M).group(1)

    def export_sources(self):
        for pattern in SOURCES:
            copy(self, pattern, os.path.join(self.recipe_folder, "../.."), self.export_sources_folder,
                 excludes=["*/target/*", "*/__pycache__/*"])

    def configure(self):
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def layout(self):
        cmake_layout(self)

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration("linkspan supports Linux on x86-64 and arm64 only")

    def source(self):
        self.run("cargo fetch --locked --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["LINKSPAN_TLS"] = bool(self.options.tls)
        toolchain.cache_variables["LINKSPAN_DEFLATE"] = bool(self.options.deflate)
        toolchain.cache_variables["LINKSPAN_EXAMPLES"] = False
        toolchain.cache_variables["LINKSPAN_TESTS"] = False
        toolchain.generate()

    def build(self):
        offline = Environment()
        offline.define("CARGO_NET_OFFLINE", "true")
        with offline.vars(self).apply():
            cmake = CMake(self)
            cmake.configure()
            cmake.build()

    def package(self):
        CMake(self).install()
        library = os.path.join(self.package_folder, "lib")
        rm(self, "liblinkspan.a" if self.options.shared else "liblinkspan.so*", library)
        # Conan writes its own for those who use the package.
        rmdir(self, os.path.join(library, "cmake"))
        rmdir(self, os.path.join(library, "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))
        licenses = os.path.join(self.package_folder, "licenses")
        copy(self, "LICENSE-*", self.source_folder, licenses)
        copy(self, "copyright", self.build_folder, licenses)

    def package_info(self):
        self.cpp_info.libs = ["linkspan"]
        self.cpp_info.set_property("cmake_target_name", "linkspan::linkspan")
        self.cpp_info.set_property("cmake_target_aliases", ["linkspan::cpp"])
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "dl", "m"]
