# SPDX-License-Identifier: MIT
"""conan_stand_in.py WORK SOURCE shared|static: takes the recipe and its test_package through the
steps of `conan create`, with stand-ins for the modules that they import; those run CMake. That
shows that the recipe's own steps and options work and what they leave, not that Conan's modules do
what is taken here from its documentation."""
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import types


class Settings:
    """As a profile for Linux gives them."""

    def __init__(self):
        self.os = "Linux"
        self.arch = "x86_64"
        self.build_type = "Release"
        self.removed = []

    def rm_safe(self, name):
        self.removed.append(name)


class CppInfo:
    def __init__(self):
        self.libs = []
        self.properties = {}

    def set_property(self, name, value):
        self.properties[name] = value


class ConanFile:
    def run(self, command, env):
        assert env == "conanrun"
        subprocess.run(command, shell=True, check=True)


class ConanInvalidConfiguration(Exception):
    pass


def cmake_layout(recipe):
    recipe.build_folder = os.path.join(recipe.folder, "build")
    recipe.cpp = types.SimpleNamespace(build=types.SimpleNamespace(bindir=recipe.build_folder))


class CMakeToolchain:
    def __init__(self, recipe):
        self.recipe = recipe
        self.cache_variables = {}

    def generate(self):
        self.recipe.cache_variables = self.cache_variables


class CMake:
    def __init__(self, recipe):
        self.recipe = recipe

    def run(self, *arguments):
        subprocess.run(("cmake",) + arguments, check=True, stdout=subprocess.DEVNULL)

    def configure(self):
        recipe = self.recipe
        values = {name: {True: "ON", False: "OFF"}[value]
                  for name, value in recipe.cache_variables.items()}
        values["CMAKE_BUILD_TYPE"] = recipe.settings.build_type
        values["CMAKE_PREFIX_PATH"] = recipe.folder
        self.run("-G", "Ninja", "-S", recipe.source_folder, "-B", recipe.build_folder,
                 *(f"-D{name}={value}" for name, value in values.items()))

    def build(self):
        self.run("--build", self.recipe.build_folder)

    def install(self):
        self.run("--install", self.recipe.build_folder, "--prefix", self.recipe.package_folder)


def copy(recipe, pattern, src, dst):
    found = [path for path in glob.glob(os.path.join(src, pattern)) +
             glob.glob(os.path.join(src, pattern.replace("*", "**/*")), recursive=True)
             if os.path.isfile(path)]
    assert found, pattern
    for path in found:
        target = os.path.join(dst, os.path.relpath(path, src))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)


def load(recipe, path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


module("conan", ConanFile=ConanFile)
module("conan.errors", ConanInvalidConfiguration=ConanInvalidConfiguration)
module("conan.tools")
module("conan.tools.build", can_run=lambda recipe: True)
module("conan.tools.cmake", CMake=CMake, CMakeToolchain=CMakeToolchain, cmake_layout=cmake_layout)
module("conan.tools.files", copy=copy, load=load,
       rmdir=lambda recipe, path: shutil.rmtree(path, ignore_errors=True))


def recipe_of(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    classes = [value for value in vars(loaded).values()
               if isinstance(value, type) and issubclass(value, ConanFile) and value != ConanFile]
    recipe = classes[0]()
    recipe.settings = Settings()
    recipe.recipe_folder = os.path.dirname(path)
    return recipe


def create(work, source, shared):
    recipe = recipe_of(os.path.join(source, "packaging/conan/conanfile.py"), "conanfile")
    assert shared in recipe.options["shared"]
    recipe.options = types.SimpleNamespace(shared=shared)
    recipe.set_version()
    recipe.folder = work
    recipe.export_sources_folder = recipe.source_folder = os.path.join(work, "source")
    recipe.package_folder = os.path.join(work, "package")
    recipe.export_sources()
    recipe.configure()
    recipe.validate()
    recipe.layout()
    recipe.generate()
    recipe.build()
    recipe.package()
    recipe.cpp_info = CppInfo()
    recipe.package_info()
    return recipe


def refuses_other_systems(source):
    recipe = recipe_of(os.path.join(source, "packaging/conan/conanfile.py"), "conanfile")
    recipe.settings.os = "Windows"
    try:
        recipe.validate()
    except ConanInvalidConfiguration:
        return
    raise AssertionError("the recipe takes Windows")


def cmake_deps(package, folder):
    """What CMakeDeps makes of cpp_info, as far as this package uses it."""
    properties = package.cpp_info.properties
    target = properties["cmake_target_name"]
    libraries = [path for name in package.cpp_info.libs
                 for path in glob.glob(os.path.join(package.package_folder, "lib", f"lib{name}.*"))
                 if path.endswith((".so", ".a"))]
    assert len(libraries) == 1, libraries
    lines = [f"add_library({target} UNKNOWN IMPORTED)",
             f"set_target_properties({target} PROPERTIES IMPORTED_LOCATION {libraries[0]}",
             f"    INTERFACE_INCLUDE_DIRECTORIES {package.package_folder}/include)"]
    lines += [f"add_library({alias} ALIAS {target})"
              for alias in properties.get("cmake_target_aliases", [])]
    os.makedirs(folder)
    name = properties["cmake_file_name"]
    with open(os.path.join(folder, f"{name}-config.cmake"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def test(work, source, package):
    recipe = recipe_of(os.path.join(source, "packaging/conan/test_package/conanfile.py"), "test")
    required = []
    recipe.requires = required.append
    recipe.tested_reference_str = f"{package.name}/{package.version}"
    recipe.requirements()
    assert required == [recipe.tested_reference_str]
    assert recipe.generators == ("CMakeDeps", "CMakeToolchain")
    recipe.folder = os.path.join(work, "test")
    recipe.source_folder = recipe.recipe_folder
    cmake_deps(package, recipe.folder)
    recipe.cache_variables = {}
    recipe.layout()
    recipe.build()
    recipe.test()


def installed(package):
    return {os.path.relpath(os.path.join(folder, name), package.package_folder)
            for folder, _, names in os.walk(package.package_folder) for name in names}


def main(work, source, linkage):
    refuses_other_systems(source)
    package = create(work, source, linkage == "shared")
    files = installed(package)
    assert {"licenses/LICENSE", "include/zbq.h", "include/zbq/inline.h"} <= files, files
    assert not [path for path in files if "cmake" in path or "pkgconfig" in path], files
    assert {"compiler.cppstd", "compiler.libcxx"} == set(package.settings.removed)
    test(work, source, package)
    print(f"{package.name}/{package.version}", linkage)


main(*sys.argv[1:])
