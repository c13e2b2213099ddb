#!/bin/bash
# SPDX-License-Identifier: MIT
# One test of the Python package: run.sh SUBJECT SOURCE-TREE BUILD-TREE [SANITIZERS]
#
# Debian's Python, offline, with Debian's packages. What it writes goes into the build tree.
set -euo pipefail
subject=$1 source=$2 build=$3 sanitize=${4:-}
python=/usr/bin/python3
tests=$source/tests/python
work=$build/python

skip() {
    echo "skipped: $1"
    exit 77
}

has() { # module, package
    "$python" -c "import $1" 2>/dev/null || skip "no package $2"
}

[ -z "$sanitize" ] || skip "the package is built without sanitizers"
[ -x "$python" ] || skip "no Python of the distribution's"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || skip "a Python before 3.11"
[ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    skip "no package python3-dev"
has setuptools python3-setuptools
has wheel python3-wheel
has pip python3-pip
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$work/site:$tests

case $subject in
sanitized | references)
    # In a debug build of Python, by an extension that is built for it.
    debug=$(command -v python3-dbg) || skip "no package python3-dbg"
    own=$work-$subject
    rm -rf "$own"
    mkdir -p "$own"
    cp -rL "$source/bindings/python" "$own/source"
    cd "$own/source"
    export PYTHONPATH=$own/source:$tests
    if [ "$subject" = references ]; then
        CFLAGS=-O1 "$debug" setup.py -q build_ext --inplace 2>/dev/null
        exec "$debug" "$tests/test_references.py"
    fi
    library=$(gcc -print-file-name=libasan.so)
    [ -e "$library" ] || skip "no libasan of gcc's"
    flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g'
    CFLAGS="$flags -O1" LDFLAGS=$flags "$debug" setup.py -q build_ext --inplace 2>/dev/null
    export PYTHONMALLOC=malloc LD_PRELOAD=$library
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
    for each in producer consumer views descriptors bad_input processes asyncio subscription \
        collector arrays hostile; do
        echo "$each"
        "$debug" "$tests/test_$each.py" || [ $? -eq 77 ]
    done
    ;;
build)
    # A copy, since pip builds where the sources lie. The links are to files of the whole tree.
    rm -rf "$work"
    mkdir -p "$work"
    cp -rL "$source/bindings/python" "$work/source"
    rm -rf "$work"/source/{build,zbq.egg-info} "$work"/source/zbq/*.so
    CFLAGS=-Werror "$python" -m pip install --quiet --no-index --no-build-isolation --no-deps \
        --disable-pip-version-check --root-user-action=ignore --target "$work/site" "$work/source"
    cd "$work/site/zbq"
    [ -e _zbq.abi3.so ] && [ -e py.typed ] && [ -e _zbq.pyi ]
    needs=$(objdump -p _zbq.abi3.so | sed -n 's/ *NEEDED *//p' | sort | paste -sd' ')
    [[ $needs =~ ^(ld-linux[^ ]* )?libc.so.6$ ]] || {
        echo "it needs more than libc: $needs"
        exit 1
    }
    # What it exports beside the one symbol is nobody's.
    nm -D --defined-only _zbq.abi3.so | awk '{ print $3 }' | diff - <(echo PyInit__zbq)
    ;;
types)
    has mypy mypy
    cd "$work/site" # in which the package is typed for its users
    "$python" -m mypy --strict --cache-dir "$work/mypy" -p zbq
    "$python" -m mypy --strict --cache-dir "$work/mypy" "$tests/typed.py"
    ;;
*)
    "$python" -X dev -W error::ResourceWarning "$tests/$subject.py"
    ;;
esac
