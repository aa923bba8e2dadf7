//! The order of a program's functions.

use std::env;
use std::path::Path;

/// Has a static program's functions be in the order that `function-order.txt` beside `Cargo.toml` says,
/// if it is linked by LLD as Rust does it, and has the linker write down in `functions.map` where it
/// put them. Functions that are not in the file, or in the program, do no harm.
pub fn apply() {
    const FILE: &str = "function-order.txt";
    println!("cargo::rerun-if-changed={FILE}");
    // Others are for tests, and linked by whatever the developer prefers.
    if !is_static() {
        return;
    }
    let file = Path::new(&variable("CARGO_MANIFEST_DIR")).join(FILE);
    let map = Path::new(&variable("OUT_DIR")).join("functions.map");
    for argument in [
        format!("--symbol-ordering-file={}", file.display()),
        "--no-warn-symbol-ordering".to_owned(),
        format!("-Map={}", map.display()),
    ] {
        // `-Wl,` would cut a path at its commas.
        println!("cargo::rustc-link-arg-bins=-Xlinker");
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

/// Whether the program is a static one.
pub fn is_static() -> bool {
    let features = variable("CARGO_CFG_TARGET_FEATURE");
    features.split(',').any(|feature| feature == "crt-static")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
