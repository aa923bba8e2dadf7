//! Two builds in different directories give the same image.

#[path = "../build/c_library.rs"]
mod c_library;
#[path = "../build/recipe.rs"]
mod recipe;

use std::{fs, io, path::Path};

use enarx_host_image::{runtime, shim_sgx, shim_vm};
use recipe::Program;

#[test]
#[ignore = "builds the runtime from nothing, which takes minutes"]
fn another_directory_gives_the_same_image() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("of/another/depth/enarx");
    copy_tree(workspace, &copy).unwrap();
    for (program, embedded) in [
        (Program::Runtime, runtime()),
        (Program::ShimSgx, shim_sgx()),
        (Program::ShimVm, shim_vm()),
    ] {
        let built = recipe::build(program, &copy, &elsewhere.path().join("target")).unwrap();
        let image = fs::read(built).unwrap();
        let different = image
            .iter()
            .zip(embedded)
            .position(|(left, right)| left != right);
        assert!(
            image == embedded,
            "{program:?}: sizes {} and {}, first difference at {different:?}",
            image.len(),
            embedded.len()
        );
    }
}

/// Copies the source: everything but hidden files and build results.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            let built = entry.path().join("CACHEDIR.TAG").exists();
            if !built && !name.as_encoded_bytes().starts_with(b".") {
                copy_tree(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
