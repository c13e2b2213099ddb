// SPDX-License-Identifier: MIT
//! Builds the library from its single header, or finds an installed one (feature `system`).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    provide();
}

#[cfg(not(feature = "system"))]
fn provide() {
    println!("cargo:rerun-if-changed=zbq.cpp");
    println!("cargo:rerun-if-changed=zbq.h");
    cc::Build::new()
        .cpp(true)
        .cpp_link_stdlib(None) // it needs libc alone
        .flag("-std=c++20")
        .flag("-fno-exceptions")
        .flag("-fno-rtti")
        .flag("-fno-threadsafe-statics")
        .flag("-fno-asynchronous-unwind-tables")
        .flag("-fvisibility=hidden")
        .file("zbq.cpp")
        .compile("zbq");
}

#[cfg(feature = "system")]
fn provide() {
    // What a later minor version adds is not declared here, and does no harm.
    let found = pkg_config::Config::new()
        .range_version("1.0".."2.0")
        .probe("zbq");
    if let Err(error) = found {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
