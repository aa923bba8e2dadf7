//! Writes modules that `wasm-smith` generates, each a program that reports what it computes, into
//! a directory: the same ones at each call.

mod generated;
mod random;

use std::{env, fs, path::Path};

const MODULES: usize = 160;

fn main() {
    let directory = env::args()
        .nth(1)
        .expect("usage: enarx-tests-corpus DIRECTORY");
    let modules = (0..).filter_map(generated::module).take(MODULES);
    for (number, module) in modules.enumerate() {
        let file = Path::new(&directory).join(format!("{number}.wasm"));
        fs::write(file, module).unwrap();
    }
}
