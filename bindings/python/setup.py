# SPDX-License-Identifier: MIT
"""Builds the extension: the library in C++, the rest in C, for the limited API of Python 3.11."""

import glob
import os

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
LIBRARY = ["-std=c++20", "-fno-exceptions", "-fno-rtti"]


class BuildExtension(build_ext):
    """Compiles each language by its own options, and links without a run time of C++."""

    def build_extension(self, ext: Extension) -> None:
        compile_one = self.compiler._compile

        def compile_by_language(obj, src, extension, cc_args, postargs, pp_opts):  # type: ignore
            own = LIBRARY if extension == ".cpp" else ["-std=gnu11"]
            compile_one(obj, src, extension, cc_args, postargs + own, pp_opts)

        self.compiler._compile = compile_by_language
        try:
            super().build_extension(ext)
        finally:
            self.compiler._compile = compile_one


here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
setup(
    ext_modules=[
        Extension(
            "zbq._zbq",
            sources=sorted(glob.glob("src/*.c") + glob.glob("src/*.cpp")),
            depends=sorted(glob.glob("src/*.h") + ["src/exported.map"]),
            extra_compile_args=["-O2", "-fvisibility=hidden"] + WARNINGS,
            extra_link_args=["-Wl,--version-script=src/exported.map"],
            py_limited_api=True,
            language="c",
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    cmdclass={"build_ext": BuildExtension},
)
