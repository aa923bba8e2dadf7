//! Has the functions that run while a Keep starts lie side by side.

mod function_order;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=function_order.rs");
    function_order::apply();
}
