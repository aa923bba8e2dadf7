//! Has less be done before the command begins, and while it starts a Keep.

#[path = "../host/image/build/c_library.rs"]
mod c_library;
#[path = "../keep/runtime/function_order.rs"]
mod function_order;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../host/image/build/c_library.rs");
    println!("cargo::rerun-if-changed=../keep/runtime/function_order.rs");
    function_order::apply();
    if function_order::is_static() {
        // See `src/entry.rs`.
        println!("cargo::rustc-link-arg-bins=-Wl,--entry=enarx_entry");
    }
    if let Some(flag) = c_library::packed_relocations() {
        println!("cargo::rustc-link-arg-bins={flag}");
    }
}
