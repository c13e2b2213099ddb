#!/bin/bash
# SPDX-License-Identifier: MIT
# Which lines and branches of the library the tests reach. Fails when one is not reached that
# unreached.txt does not explain, or one that it explains is not there any more.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/coverage
raw=$build/raw

rebuild() {
    cmake --preset coverage >/dev/null
    cmake --build --preset coverage
}

# %c: counters live in a shared mapping of the file, so that what a process has run is kept when it is
# killed or leaves by _exit, as many children here do. %m: one file for each program. Several processes
# count in one file, so the preset counts with atomic increments: of counts that were lost some sides
# of branches, which are differences, would come out as zero.
run_all() {
    rm -rf "$raw"
    mkdir -p "$raw"
    export LLVM_PROFILE_FILE=$PWD/$raw/%m%c.profraw
    ctest --preset coverage -j 2 -E '^abi\.' -Q -O $build/tests.log ||
        echo "some tests failed when they were instrumented; see $build/tests.log"
    unset LLVM_PROFILE_FILE
}

# With the library in them, as options of llvm-cov.
programs() {
    find $build/tests -type f -executable \( -name '*_test' -o -name 'fuzz_*' \) |
        sort | sed '2,$ s/^/-object\n/'
}

report() {
    local what
    mapfile -t what < <(programs)
    llvm-profdata merge -sparse "$raw"/*.profraw -o $build/zbq.profdata
    what+=("-instr-profile=$build/zbq.profdata" '-ignore-filename-regex=/tests/|^/usr/')
    llvm-cov show "${what[@]}" -format=html -output-dir=$build/html -show-branches=count >/dev/null
    llvm-cov report "${what[@]}" -show-branch-summary
    llvm-cov export "${what[@]}" >$build/export.json
}

case ${1:-} in
--help | -h)
    echo "usage: ./dev coverage [--again]"
    echo "  --again: of the run before, without building and running"
    exit
    ;;
--again) ;;
*)
    rebuild
    run_all
    ;;
esac
report
echo "$build/html/index.html"
/usr/bin/python3 tests/coverage/check.py $build/export.json tests/coverage/unreached.txt
