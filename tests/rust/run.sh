#!/bin/bash
# SPDX-License-Identifier: MIT
# One test of the Rust crates: run.sh SUBJECT SOURCE-TREE BUILD-TREE [SANITIZERS]
#
# Debian's cargo, offline, with Debian's crates. What it writes goes into the build tree.
set -euo pipefail
subject=$1 source=$2 build=$3 sanitize=${4:-}
registry=/usr/share/cargo/registry

skip() {
    echo "skipped: $1"
    exit 77
}

[ -z "$sanitize" ] || skip "the crates are built without sanitizers"
[ -x /usr/bin/cargo ] || skip "no cargo of the distribution's"
for crate in cc futures-core libc pkg-config tokio; do
    compgen -G "$registry/$crate-[0-9]*" >/dev/null || skip "no package librust-$crate-dev"
done

# A workspace of links, so that its lock file does not come to lie in the source tree, where one of
# another version of cargo may be.
work=$build/rust
mkdir -p "$work/home"
for file in Cargo.toml rustfmt.toml zbq zbq-sys; do
    [ ! -e "$source/bindings/rust/$file" ] || ln -sfn "$source/bindings/rust/$file" "$work/$file"
done
cat >"$work/home/config.toml" <<EOF
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "$registry"
EOF
export PATH=/usr/bin:/bin CARGO_HOME=$work/home CARGO_TARGET_DIR=$work/target
export CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
unset RUSTFLAGS RUSTC RUSTDOC RUSTC_WRAPPER RUSTUP_TOOLCHAIN
cd "$work"

# The path of an example, built with the options given.
example() {
    cargo build --quiet -p zbq --example readme "$@"
    echo "$CARGO_TARGET_DIR/debug/examples/readme"
}

case $subject in
format)
    [ -x /usr/bin/rustfmt ] || skip "no package rustfmt"
    cargo fmt --all -- --check
    # What the README shows is in the example.
    readme=$source/bindings/rust/zbq/README.md example=$source/bindings/rust/zbq/examples/readme.rs
    # shellcheck disable=SC2016 # backquotes of Markdown
    shown=$(sed -n '/^```rust$/,/^```$/p' "$readme" | grep -v '^```' | grep -vxFf "$example" || true)
    if [ -n "$shown" ]; then
        printf 'not in examples/readme.rs:\n%s\n' "$shown"
        exit 1
    fi
    ;;
clippy)
    [ -x /usr/bin/clippy-driver ] || skip "no package rust-clippy"
    cargo clippy --quiet --workspace --all-targets --features zbq/stream -- -D warnings
    ;;
build_and_test)
    echo "C++ is at $ZBQ_CPP_PEER and $ZBQ_TOOL"
    # Linked with the shared library of Rust's own, each of these programs takes half a second less.
    RUSTFLAGS='-C prefer-dynamic' cargo test --quiet --workspace --features zbq/stream --tests
    ;;
documents)
    # The examples in the comments, each of which is a program.
    cargo test --quiet --workspace --features zbq/stream --doc
    ;;
no_cxx_runtime)
    program=$(example)
    "$program"
    if ldd "$program" | grep -E 'libstdc\+\+|libc\+\+|libzbq'; then
        echo "linked with what it must not need"
        exit 1
    fi
    # Operators new and delete, exceptions, type information. What libc has of that name is fine.
    if nm --undefined-only "$program" | grep -v '@GLIBC_' | grep -E ' (_Z|__cxa|__gxx)'; then
        echo "symbols of a C++ run-time library"
        exit 1
    fi
    [[ $(nm "$program") == *' zbq_producer_create'* ]]
    ;;
system)
    prefix=$work/prefix
    cmake --install "$build" --prefix "$prefix" >/dev/null
    libdir=$(dirname "$(find "$prefix" -name libzbq.so)")
    export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
    cargo test --quiet -p zbq -p zbq-sys --features zbq/system --test stream --test seed_names
    program=$(example --features system)
    "$program"
    [[ $(ldd "$program") == *"$libdir/libzbq.so.1"* ]]
    ;;
*)
    echo "no such test: $subject"
    exit 2
    ;;
esac
