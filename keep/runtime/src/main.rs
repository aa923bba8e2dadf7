//! The program inside the Keep. See the library of this crate.

fn main() {
    enarx_keep_runtime::main()
}
