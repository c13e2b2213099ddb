#!/bin/bash
# SPDX-License-Identifier: MIT
# Each rule of rules.sh can fail: breaks a copy of the tree in one place at a time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fresh() {
    rm -rf "$work/tree"
    mkdir "$work/tree"
    cp -r "$root/include" "$root/src" "$root/zbq.map" "$root/dev" "$root/packaging" \
        "$root/CMakeLists.txt" "$work/tree"
    mkdir -p "$work/tree/tools/zbq" "$work/tree/tests/abi"
    cp "$root"/tools/zbq/*.cpp "$work/tree/tools/zbq"
    cp "$root/tests/abi/symbols.txt" "$work/tree/tests/abi"
    mkdir -p "$work/tree/bindings/rust/zbq-sys/src" "$work/tree/bindings/rust/zbq"
    cp "$root/bindings/rust/zbq-sys/src/calls.rs" "$work/tree/bindings/rust/zbq-sys/src"
    cp "$root/bindings/rust/zbq-sys/Cargo.toml" "$work/tree/bindings/rust/zbq-sys"
    cp "$root/bindings/rust/zbq/Cargo.toml" "$work/tree/bindings/rust/zbq"
}

expect_refused() { # what the rule says, file, line to add
    fresh
    printf '%s\n' "$3" >>"$work/tree/$2"
    local said
    said=$(bash "$here/rules.sh" "$work/tree") && { echo "accepted: $3"; exit 1; }
    grep -q "$1" <<<"$said" || { echo "wrong rule for: $3"; echo "$said"; exit 1; }
}

fresh
bash "$here/rules.sh" "$work/tree"
expect_refused "atomics outside" src/ring.hpp 'int x = __atomic_load_n(&y, 0);'
expect_refused "atomics outside" src/ring.hpp 'const volatile int *x;'
expect_refused "system call outside" src/join.cpp '    close(fd);'
expect_refused "C++ run time" src/join.cpp '    throw 1;'
expect_refused "tool prints" tools/zbq/sub.cpp '    fmt::print(stderr, "what an error of stderr throws for");'
expect_refused "SPDX" src/new.hpp 'int x;'
for file in new.py new.lintian-overrides new.rs new.toml new.yml new.cmake new.map Dockerfile meson.build .gitignore; do
    expect_refused "SPDX" "$file" 'x'
done
expect_refused "trailing space" src/join.cpp 'int x; '
expect_refused "path of one machine" src/join.cpp '// see /home/me'
for early in 'grep -q x' 'grep -v -m 1 x' 'head -1' 'sed -n 2q' '& head' $'\n    head'; do
    expect_refused "ends before its writer" dev "a |$early"
done
expect_refused "zbq.map is not" zbq.map 'zbq_new_call;'
expect_refused "symbols.txt is not" tests/abi/symbols.txt 'zbq_new_call'
expect_refused "not of version" include/zbq.h '#define ZBQ_VERSION_PATCH 9'
expect_refused "places of the version" packaging/meson/zbq.wrap 'x = zbq-1.0.0'
expect_refused "calls.rs is not" bindings/rust/zbq-sys/src/calls.rs '    pub fn zbq_new_call() -> c_int;'
expect_refused "SPDX" bindings/rust/new.rs 'fn new() {}'
