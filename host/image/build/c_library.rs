//! What this system's C library can do.

use std::process::Command;

/// For the linker: relative relocations are packed (`DT_RELR`) where glibc reads them, from version
/// 2.36 on. A program begins sooner then, and is smaller.
pub fn packed_relocations() -> Option<&'static str> {
    (version()? >= (2, 36)).then_some("-Wl,-z,pack-relative-relocs")
}

/// The version of this system's glibc: a program that is linked here needs one at least
/// as new, or has this one in it.
fn version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
