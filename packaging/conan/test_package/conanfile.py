"""Builds the programs of packaging/tests/consumer with the package, and runs them."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class LinkspanTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = ("CMakeDeps", "VirtualRunEnv")

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        for option in ("tls", "deflate"):
            has = self.dependencies["linkspan"].options.get_safe(option)
            toolchain.cache_variables[option.upper()] = "ON" if has else "OFF"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            for program in ("c", "cpp"):
                self.run(os.path.join(self.cpp.build.bindir, program), env="conanrun")
