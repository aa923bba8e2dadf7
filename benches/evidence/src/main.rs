//! How many pieces of evidence are verified per second on one core, against the libraries
//! that one would use instead, on the same evidence in the same run.

mod intel;
mod rate;
mod snp;

use std::{env, path::PathBuf};

use anyhow::ensure;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    let vectors = env::var_os("ENARX_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    ensure!(
        vectors.join("cases.json").is_file(),
        "no evidence in {}: set ENARX_VECTORS",
        vectors.display()
    );
    snp::run(&vectors)?;
    intel::run(&vectors)
}

/// Says by how much the heap grew at most during `verify`.
fn memory(what: &str, verify: impl FnOnce()) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    verify();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    println!("{what:44} {:>8} KiB of heap at most", peak.div_ceil(1024));
}
