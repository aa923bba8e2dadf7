//! Builds the Keep's programs and hands them to the crate with their digests.

mod c_library;
mod lines;
mod recipe;
mod trusted;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use enarx_wire_launch::{sgx::runtime_pages_digest, vm::file_digest};
use sha2::{Digest as _, Sha384};

use recipe::Program;
use trusted::TrustedCode;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest directory")?);
    let workspace = manifest.ancestors().nth(2).ok_or("no workspace")?;
    for input in INPUTS {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    println!("cargo::rerun-if-changed=build");

    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("no output directory")?);
    // Not below the profile's own directory: the image does not depend on the
    // profile of the program that embeds it, and is built once for all of them.
    let target = target_directory(&output)?.join("keep-image");
    let runtime = fs::read(recipe::build(Program::Runtime, workspace, &target)?)?;
    fs::write(output.join("runtime_digest"), Sha384::digest(&runtime))?;
    fs::write(
        output.join("runtime_pages_digest"),
        runtime_pages_digest(&runtime)?,
    )?;
    fs::write(output.join("runtime_file_digest"), file_digest(&runtime))?;
    fs::write(output.join(file_name(Program::Runtime)), runtime)?;
    for program in [Program::ShimSgx, Program::ShimVm] {
        let shim = recipe::build(program, workspace, &target)?;
        fs::copy(shim, output.join(file_name(program)))?;
    }

    let mut code = TrustedCode::default();
    for program in [Program::Runtime, Program::ShimSgx, Program::ShimVm] {
        code.add(program, workspace)?;
    }
    fs::write(output.join("trusted_code.rs"), code.to_source())?;
    Ok(())
}

/// The name of a program's file in the output directory, and in capitals that of the crate's item.
const fn file_name(program: Program) -> &'static str {
    match program {
        Program::Runtime => "runtime",
        Program::ShimSgx => "shim_sgx",
        Program::ShimVm => "shim_vm",
    }
}

/// What the image depends on, relative to the workspace.
const INPUTS: [&str; 5] = [
    "Cargo.lock",
    "Cargo.toml",
    "keep",
    "rust-toolchain.toml",
    "wire",
];

/// The directory that cargo marks as its own, above a build script's output.
fn target_directory(output: &Path) -> Result<&Path, Box<dyn Error>> {
    output
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").exists())
        .ok_or_else(|| "the output directory is in no target directory".into())
}
