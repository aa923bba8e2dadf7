//! How the shim is linked: to its addresses in the guest, without the C library, its pages by access.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=guest.ld");
    // Builds that unwind are for checks and tests on a development machine; what they link is
    // an ordinary program that does nothing.
    if env::var("CARGO_CFG_PANIC").as_deref() != Ok("abort") {
        return;
    }
    let manifest = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        "-nostdlib",
        "-nostartfiles",
        "-Wl,--build-id=none",
        "-Wl,--no-dynamic-linker",
        "-Wl,-z,norelro",
        "-Wl,-z,noexecstack",
        "-Wl,--gc-sections",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{manifest}/guest.ld");
}
