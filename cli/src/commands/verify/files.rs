//! Reading of the files that are to be verified.

use std::path::{Path, PathBuf};

use enarx_owner_evidence::materials::{MAX_FILE_BYTES, Materials};

use crate::{
    commands::{collateral::read_bundle, read_at_most},
    failure::WithAdvice as _,
};

/// Reads evidence with its endorsements, and the folders and bundles with collateral.
///
/// # Errors
///
/// When a file cannot be read, or is nothing that is known. In folders other things may lie
/// too, and those of evidence may have files that cannot be read.
pub fn gather(files: &[PathBuf], places: &[PathBuf]) -> anyhow::Result<Materials> {
    let mut materials = Materials::default();
    for file in files {
        if file.is_dir() {
            // Linux's configfs-tsm has files there that cannot be read, and others that say
            // nothing; verification will say what is missing.
            for file in entries(file)? {
                if let Ok(bytes) = read(&file) {
                    let _ = materials.add(&bytes);
                }
            }
            continue;
        }
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
    // What is not known here is somebody else's, or is missed when it is needed.
    for place in places {
        if place.is_file() {
            let bundle = read_bundle(place)?;
            for document in bundle.entries().flat_map(|(_, entry)| entry.documents()) {
                let _ = collateral.add(&document);
            }
        } else {
            for file in entries(place)? {
                let _ = collateral.add(&read(&file)?);
            }
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
    read_at_most(file, MAX_FILE_BYTES)
}

/// The files in a folder, in order.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || {
        (
            format!("cannot read the folder {}", folder.display()),
            "name the evidence's files or their folder; --collateral takes a folder with certificates, lists and documents, or a file \
             that `enarx collateral export` wrote",
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
