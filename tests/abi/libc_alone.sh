#!/bin/bash
# SPDX-License-Identifier: MIT
# The library needs libc and nothing else: no C++ run time, no unwinder.
set -euo pipefail
shared=$1 static=$2 sanitize=${3:-}
if [ -n "$sanitize" ]; then
    echo "skipped: sanitizers bring a run time of their own"
    exit 77
fi
needed=$(readelf -d "$shared" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' || true)
[ "$needed" = libc.so.6 ] || { echo "needs: $needed"; exit 1; }
soname=$(readelf -d "$shared" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = libzbq.so.1 ] || { echo "soname: $soname"; exit 1; }
foreign='^(_Z|__cxa_(throw|begin|end|pure|guard|allocate)|__gxx|_Unwind|__dynamic)'
undefined() {
    nm -D -u "$shared"
    nm -u "$static"
}
if undefined | awk '/ [Uw] / { print $2 }' | grep -E "$foreign"; then
    echo "the library wants more than libc"
    exit 1
fi
