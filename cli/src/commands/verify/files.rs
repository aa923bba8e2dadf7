//! Reading of the files that are to be verified.

use std::{fs::File, io::Read as _, path::Path, path::PathBuf};

use anyhow::Context as _;
use enarx_owner_evidence::materials::{MAX_FILE_BYTES, Materials};

use crate::failure::{Advice, WithAdvice as _};

/// Reads evidence with its endorsements, and the folders with collateral.
///
/// # Errors
///
/// When a file cannot be read, or is nothing that is known. In folders only what cannot be
/// read is an error: other things may lie there too.
pub fn gather(files: &[PathBuf], folders: &[PathBuf]) -> anyhow::Result<Materials> {
    let mut materials = Materials::default();
    for file in files {
        let bytes = read(file)?;
        materials.add(&bytes).with_advice(|| {
            (
                format!("{} cannot be used", file.display()),
                "give evidence (a report, a quote), certificates, revocation lists, TCB info or \
                 identities, each as its own file",
            )
        })?;
    }
    let mut collateral = Materials::default();
    for folder in folders {
        for file in entries(folder)? {
            // What is not known here is somebody else's.
            let _ = collateral.add(&read(&file)?);
        }
    }
    materials.add_endorsements(collateral);
    Ok(materials)
}

/// Reads a file, not more of it than is looked at.
///
/// # Errors
///
/// When it cannot be read, or is too large.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    File::open(file)
        .with_context(failed)?
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Advice::error(
            format!("{} is larger than any evidence", file.display()),
            "give the evidence itself, not an archive of it",
        ));
    }
    Ok(bytes)
}

/// The files in a folder, in order.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || {
        (
            format!("cannot read the folder {}", folder.display()),
            "--collateral takes a folder with certificates, lists and documents",
        )
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_advice(failed)? {
        let path = entry.with_advice(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
