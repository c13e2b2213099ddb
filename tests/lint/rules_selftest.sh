#!/bin/bash
# SPDX-License-Identifier: MIT
# Each rule of rules.sh can fail: a copy of the tree is broken in all these places, and each is named
# below its rule.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cp -r "$root/include" "$root/src" "$root/zbq.map" "$root/dev" "$root/packaging" "$root/CMakeLists.txt" .
mkdir -p tools/zbq tests/abi bindings/rust/zbq-sys/src bindings/rust/zbq
cp "$root"/tools/zbq/*.cpp tools/zbq
cp "$root/tests/abi/symbols.txt" tests/abi
cp "$root/bindings/rust/zbq-sys/src/calls.rs" bindings/rust/zbq-sys/src
cp "$root/bindings/rust/zbq-sys/Cargo.toml" bindings/rust/zbq-sys
cp "$root/bindings/rust/zbq/Cargo.toml" bindings/rust/zbq
bash "$here/rules.sh" .

expected=()
breaks() { # what the rule says, file, line to add, what is said of it
    printf '%s\n' "$3" >>"$2"
    expected+=("$1" "${4:-$3}")
}

breaks "atomics outside" src/ring.hpp 'int x = __atomic_load_n(&y, 0);'
breaks "atomics outside" src/ring.hpp 'const volatile int *x;'
breaks "system call outside" src/join.cpp '    close(fd);'
breaks "C++ run time" src/join.cpp '    throw 1;'
breaks "tool prints" tools/zbq/sub.cpp '    fmt::print(stderr, "what an error of stderr throws for");'
for file in new.hpp new.py new.lintian-overrides new.rs new.toml new.yml new.cmake new.map Dockerfile \
    meson.build .gitignore bindings/rust/new.rs; do
    breaks "SPDX" "$file" 'x' "./$file"
done
breaks "trailing space" src/join.cpp 'int x; '
breaks "path of one machine" src/join.cpp '// see /home/me'
for early in 'grep -q x' 'grep -v -m 1 x' 'head -1' 'sed -n 2q' '& head' $'\n    head'; do
    breaks "ends before its writer" dev "a |$early" "a |${early//$'\n'/}"
done
breaks "zbq.map is not" zbq.map 'zbq_new_call;' '> zbq_new_call'
breaks "symbols.txt is not" tests/abi/symbols.txt 'zbq_new_call' '> zbq_new_call'
breaks "calls.rs is not" bindings/rust/zbq-sys/src/calls.rs '    pub fn zbq_new_call() -> c_int;' '> zbq_new_call'
breaks "not of version" include/zbq.h '#define ZBQ_VERSION_PATCH 9' 'include/zbq.h '
breaks "places of the version" packaging/meson/zbq.wrap 'x = zbq-1.0.0' '9 found'

said=$(bash "$here/rules.sh" .) && { echo "accepted all of it"; exit 1; }
is_said() { # rule, text: whether a line below the rule has it
    RULE=$1 TEXT=$2 awk '/:$/ { here = index($0, ENVIRON["RULE"]) }
        here && !/:$/ && index($0, ENVIRON["TEXT"]) { found = 1 }
        END { exit !found }' <<<"$said"
}
for ((i = 0; i < ${#expected[@]}; i += 2)); do
    is_said "${expected[i]}" "${expected[i + 1]}" || {
        echo "'${expected[i]}' does not name: ${expected[i + 1]}"
        echo "$said"
        exit 1
    }
done
