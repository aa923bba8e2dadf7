//! Reading of files that others made.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::Context as _;
use enarx_owner_appraisal::SigningKey;
use zeroize::Zeroizing;

use crate::failure::{Advice, WithAdvice as _};

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

/// Reads a private key: PKCS#8 in PEM.
///
/// # Errors
///
/// When the file cannot be read, or is no such key.
pub fn read_signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let pem = std::fs::read_to_string(file).map(Zeroizing::new);
    let pem = pem.with_context(|| format!("cannot read the key {}", file.display()))?;
    SigningKey::from_pkcs8_pem(&pem).with_advice(|| {
        (
            format!("{} is no key that can sign", file.display()),
            "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one",
        )
    })
}
