//! Which TEEs this machine can launch in.

use std::fs::{self, File};

/// Whether SEV-SNP machines can be launched.
///
/// # Errors
///
/// What is missing.
pub(super) fn snp() -> Result<(), String> {
    const DEVICE: &str = "/dev/sev";
    File::options()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map_err(|error| format!("{DEVICE}: {error}"))?;
    is_on("/sys/module/kvm_amd/parameters/sev_snp")
}

/// Whether TDX machines can be launched.
///
/// # Errors
///
/// What is missing.
pub(super) fn tdx() -> Result<(), String> {
    is_on("/sys/module/kvm_intel/parameters/tdx")
}

fn is_on(parameter: &str) -> Result<(), String> {
    match fs::read_to_string(parameter) {
        Ok(text) if matches!(text.trim(), "Y" | "1") => Ok(()),
        Ok(text) => Err(format!("{parameter} is {}", text.trim())),
        Err(error) => Err(format!("{parameter}: {error}")),
    }
}
