//! Reading of files that others made.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::Context as _;

use crate::failure::Advice;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
///
/// When it cannot be read, or is larger.
pub fn read_at_most(file: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    File::open(file)
        .with_context(failed)?
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    if bytes.len() > limit {
        return Err(Advice::error(
            format!("{} is larger than {limit} bytes", file.display()),
            "name the evidence, or what endorses it, each as its own file",
        ));
    }
    Ok(bytes)
}
