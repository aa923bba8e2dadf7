//! Has the dynamic linker do less before the command begins.

#[path = "../host/image/build/c_library.rs"]
mod c_library;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../host/image/build/c_library.rs");
    if let Some(flag) = c_library::packed_relocations() {
        println!("cargo::rustc-link-arg-bins={flag}");
    }
}
