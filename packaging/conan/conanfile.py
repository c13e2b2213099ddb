# SPDX-License-Identifier: MIT
"""Conan 2 recipe of the source tree that it lies in: conan create packaging/conan"""
import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir


class ZbqRecipe(ConanFile):
    name = "zbq"
    description = "Zero-copy broadcast queue for Linux"
    license = "MIT"
    topics = ("ipc", "shared-memory", "zero-copy", "broadcast", "queue")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}

    def set_version(self):
        cmakelists = load(self, os.path.join(self.recipe_folder, "..", "..", "CMakeLists.txt"))
        self.version = re.search(r"project\(zbq VERSION ([0-9.]+)", cmakelists).group(1)

    def export_sources(self):
        tree = os.path.join(self.recipe_folder, "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "zbq.map", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, src=tree, dst=self.export_sources_folder)

    def configure(self):
        # A C library: it is the same with every C++ run time, since it uses none.
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("zbq is for Linux")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["ZBQ_BUILD_SHARED"] = bool(self.options.shared)
        toolchain.cache_variables["ZBQ_BUILD_STATIC"] = not self.options.shared
        for part in ("TOOLS", "TESTS", "EXAMPLES", "MANUAL"):
            toolchain.cache_variables["ZBQ_BUILD_" + part] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", src=self.source_folder,
             dst=os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        for made_by_conan in ("cmake", "pkgconfig"):
            rmdir(self, os.path.join(self.package_folder, "lib", made_by_conan))

    def package_info(self):
        self.cpp_info.libs = ["zbq"]
        self.cpp_info.set_property("pkg_config_name", "zbq")
        self.cpp_info.set_property("cmake_file_name", "zbq")
        # As in zbq's own CMake package: zbq::zbq is the library of either linkage.
        if self.options.shared:
            self.cpp_info.set_property("cmake_target_name", "zbq::zbq")
        else:
            self.cpp_info.set_property("cmake_target_name", "zbq::zbq-static")
            self.cpp_info.set_property("cmake_target_aliases", ["zbq::zbq"])
