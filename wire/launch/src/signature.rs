//! Signatures of processors that have SEV-SNP.

/// The signature of a processor, as CPUID function 1 has it in EAX (AMD #24594, volume 3,
/// appendix E, "Function 1h").
#[must_use]
pub const fn snp_signature(family: u32, model: u32, stepping: u32) -> u32 {
    /// The most that the field of the family itself holds; the rest is in another one.
    const BASE: u32 = 0xF;
    let (base, extended) = if family > BASE {
        (BASE, family - BASE)
    } else {
        (family, 0)
    };
    (extended & 0xFF) << 20
        | (model >> 4 & 0xF) << 16
        | base << 8
        | (model & 0xF) << 4
        | stepping & 0xF
}

/// The signature of the processor that QEMU calls `name` (`target/i386/cpu.c`), such as
/// `EPYC-Milan` or `EPYC-v4`: versions of a processor have the same one.
#[must_use]
pub fn snp_named_signature(name: &str) -> Option<u32> {
    let base = match name.rsplit_once("-v") {
        Some((base, version)) if version.parse::<u8>().is_ok() => base,
        _ => name,
    };
    let (family, model, stepping) = match base {
        "EPYC" | "EPYC-IBPB" => (23, 1, 2),
        "EPYC-Rome" => (23, 49, 0),
        "EPYC-Milan" => (25, 1, 1),
        "EPYC-Genoa" => (25, 17, 0),
        "EPYC-Turin" => (26, 0, 0),
        _ => return None,
    };
    Some(snp_signature(family, model, stepping))
}
