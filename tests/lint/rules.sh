#!/bin/bash
# SPDX-License-Identifier: MIT
# The project's own rules, which no common linter knows. rules.sh [TREE]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
broken=0

files() {
    find . \( -path ./build -o -path ./.git -o -name target \) -prune -o -type f "$@" -print
}

# All kinds that can carry a comment, but for lists that are compared as they are.
kinds=(-name dev -o -name CMakeLists.txt -o -name meson.build -o -name Doxyfile -o -name 'Dockerfile*'
    -o -name .clang-format -o -name .clang-tidy -o -name .gitignore -o -name .gitattributes
    -o -path ./.ci/run)
for kind in h hpp c cpp rs sh bash zsh fish awk sed dox py cmake in map toml yml yaml pml idl mdoc wrap lintian-overrides; do
    kinds+=(-o -name "*.$kind")
done

# Says what is wrong where standard input has lines.
refuse() { # message; a pipe would lose what it sets, so: refuse ... < <(...)
    local lines
    lines=$(cat)
    [ -n "$lines" ] || return 0
    printf '%s:\n%s\n' "$1" "$lines"
    broken=1
}

code() { # pattern, files: matches outside of comments
    grep -nE "$@" /dev/null | grep -vE '^[^:]+:[0-9]+: *(//|\*)' || true
}

in_source() { # the files of src/ but for those named
    find src -type f | grep -vE "$1"
}

calls='mmap|munmap|mprotect|madvise|memfd_create|ftruncate|fallocate|fcntl|ioctl|close|poll|'
calls+='socketpair|sendmsg|recvmsg|getsockopt|setsockopt|syscall|clock_gettime|getpid|fstat|fstatfs|'
calls+='epoll_create1|epoll_ctl|epoll_wait|timerfd_create|timerfd_settime|sched_yield'

mapfile -t plain < <(in_source 'atomics\.hpp|layout\.hpp')
refuse "atomics outside of src/atomics.hpp" < <(code '__atomic_|std::atomic|(^|[^ ])volatile|(^|[^m]) volatile' "${plain[@]}")
mapfile -t plain < <(in_source '/(os|scm)\.cpp')
refuse "a system call outside of src/os.cpp and src/scm.cpp" < <(code "(^|[^_.>a-z:])($calls)\(" "${plain[@]}")
mapfile -t plain < <(in_source '$^')
refuse "C++ run time in the library" < <(code '\b(throw|try|dynamic_cast|typeid)\b|<iostream>|<string>|<vector>|std::' "${plain[@]}")

mapfile -t plain < <(find tools/zbq -name '*.cpp' | grep -vE '/(io|describe)\.cpp')
refuse "the tool prints outside of tools/zbq/io.cpp" < <(code '\b(print|printf|fprintf|fputs|fwrite|perror)\(|std::(cout|cerr)' "${plain[@]}")

unlicensed() { # paths on standard input: those without it in their first three lines
    local all licensed
    all=$(sort)
    licensed=$(xargs grep -nHFm 1 SPDX-License-Identifier <<<"$all" | sed -n 's/:[123]:.*//p' | sort)
    comm -23 <(echo "$all") <(echo "$licensed")
}
refuse "no SPDX line" < <(files \( "${kinds[@]}" \) | unlicensed)

mapfile -t text < <(files \( "${kinds[@]}" -o -name '*.md' -o -name '*.txt' \))
refuse "a tab or trailing space" < <(grep -nP '\t| +$' /dev/null "${text[@]}" || true)
refuse "a path of one machine" < <(grep -nE '(^|[^a-z])/(work|root|home)/[a-z]' /dev/null "${text[@]}" |
    grep -v 'lint/rules' || true)

# Under pipefail the writer's broken pipe is the pipeline's failure, now and then.
pipelines() { # files: each pipeline in one line
    awk 'FNR == 1 { line = "" } { line = line $0 } !/^ *#/ && /\|$/ { next }
        { print FILENAME ":" FNR ":" line; line = "" }' "$@"
}
mapfile -t scripts < <(files \( -name '*.sh' -o -name '*.bash' -o -name dev -o -path ./.ci/run \))
ends_early='(head|grep( +-[A-Za-z]+)* +-[A-Za-z]*[qlm]|sed +[^|]*[0-9/$}]q)\b'
refuse "a reader that ends before its writer" < <(pipelines "${scripts[@]}" |
    grep -E "[^|]\\|&? *$ends_early" | grep -v 'breaks on purpose' || true)

names() { # file: the zbq_ functions that it lists
    grep -oE '\bzbq_[a-z_]+' "$1" | sort -u
}
declared=$(grep -v '^ \*' include/zbq.h | grep -oE '\bzbq_[a-z_]+\(' | tr -d '(' | sort -u)
for list in zbq.map tests/abi/symbols.txt; do
    refuse "$list is not what zbq.h declares" < <(diff <(echo "$declared") <(names "$list") || true)
done
externs=bindings/rust/zbq-sys/src/calls.rs
refuse "$externs is not what zbq.h declares" < <(diff <(echo "$declared") <(names <(grep 'pub fn ' "$externs" |
    grep -oE '\bzbq_[a-z_]+\(')) || true)

version=$(sed -n 's/^project(zbq VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
of_version() { # where it stands, and what stands there
    local part
    for part in MAJOR MINOR PATCH; do
        sed -n "s/^#define ZBQ_VERSION_$part \([0-9]*\).*/\1/p" include/zbq.h
    done | paste -sd. | sed 's/^/include\/zbq.h /'
    sed -n '1s/.*(\(.*\)-.*).*/packaging\/debian\/changelog \1/p' packaging/debian/changelog
    sed -n 's/.*"version": "\(.*\)".*/packaging\/vcpkg \1/p' packaging/vcpkg/zbq/vcpkg.json
    sed -n "s/.*project(.* version: '\([0-9.]*\)'.*/packaging\/meson \1/p" \
        packaging/meson/packagefiles/zbq/meson.build
    sed -n '/^\[dep/q; s/^version = "\(.*\)"/crate \1/p' bindings/rust/zbq-sys/Cargo.toml
    sed -n '/^\[dep/q; s/^version = "\(.*\)"/crate \1/p' bindings/rust/zbq/Cargo.toml
    sed -n 's/.*= zbq-\([0-9.]*[0-9]\).*/zbq.wrap \1/p' packaging/meson/zbq.wrap
}
refuse "not of version $version" < <(of_version | awk -v is="$version" '$2 != is')
refuse "places of the version" < <(places=$(of_version | wc -l)
    [ "$places" -eq 8 ] || echo "$places found, not 8")
exit "$broken"
