//! How many pieces of evidence are verified per second on one core, against the libraries
//! that one would use instead, on the same evidence in the same run.

mod intel;
mod rate;
mod snp;

use enarx_evidence_benches::vectors;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
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
