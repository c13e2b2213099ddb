#!/bin/bash
# SPDX-License-Identifier: MIT
# The project's own rules, which no common linter knows. rules.sh [TREE]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
broken=0

files() {
    find . -path ./build -prune -o -path ./.git -prune -o -type f "$@" -print
}

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
calls+='epoll_create1|epoll_ctl|epoll_wait|timerfd_create|timerfd_settime'

mapfile -t plain < <(in_source 'atomics\.hpp|layout\.hpp')
refuse "atomics outside of src/atomics.hpp" < <(code '__atomic_|std::atomic|\bvolatile\b' "${plain[@]}")
mapfile -t plain < <(in_source '/(os|scm)\.cpp')
refuse "a system call outside of src/os.cpp and src/scm.cpp" < <(code "(^|[^_.>a-z:])($calls)\(" "${plain[@]}")
mapfile -t plain < <(in_source '$^')
refuse "C++ run time in the library" < <(code '\b(throw|try|dynamic_cast|typeid)\b|<iostream>|<string>|<vector>|std::' "${plain[@]}")

unlicensed() {
    while read -r file; do
        head -3 "$file" | grep -q 'SPDX-License-Identifier' || echo "$file"
    done
}
refuse "no SPDX line" < <(files \( -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.c' \
    -o -name '*.sh' -o -name '*.rs' -o -name Cargo.toml -o -name CMakeLists.txt -o -name dev \) | unlicensed)

mapfile -t text < <(files \( -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.c' \
    -o -name '*.sh' -o -name '*.rs' -o -name '*.toml' -o -name '*.md' -o -name '*.txt' -o -name dev \))
refuse "a tab or trailing space" < <(grep -nP '\t| +$' /dev/null "${text[@]}" || true)
refuse "a path of one machine" < <(grep -nE '(^|[^a-z])/(work|root|home)/[a-z]' /dev/null "${text[@]}" |
    grep -v 'lint/rules' || true)

names() { # file: the zbq_ functions that it lists
    grep -oE '\bzbq_[a-z_]+' "$1" | sort -u
}
declared=$(grep -oE '\bzbq_[a-z_]+\(' include/zbq.h | tr -d '(' | sort -u)
for list in zbq.map tests/abi/symbols.txt; do
    refuse "$list is not what zbq.h declares" < <(diff <(echo "$declared") <(names "$list") || true)
done
externs=bindings/rust/zbq-sys/src/calls.rs
refuse "$externs is not what zbq.h declares" < <(diff <(echo "$declared") <(names <(grep 'pub fn ' "$externs" |
    grep -oE '\bzbq_[a-z_]+\(')) || true)
exit "$broken"
