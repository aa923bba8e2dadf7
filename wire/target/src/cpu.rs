//! The CPU features of x86-64 that the code generator can use.

/// Cranelift's names for the features that this CPU has, in no order.
///
/// The CPUID instruction is the only source. Inside a TEE its answers are those
/// that the TEE vouches for; a feature that is wrongly present ends in an invalid
/// instruction, never in a wrong result.
pub fn detected() -> impl Iterator<Item = &'static str> {
    FEATURES
        .iter()
        .filter(|feature| (feature.present)())
        .map(|feature| feature.name)
}

/// Whether the code generator knows the feature with Cranelift's name `name`.
pub fn is_known(name: &str) -> bool {
    FEATURES.iter().any(|feature| feature.name == name)
}

struct Feature {
    name: &'static str,
    present: fn() -> bool,
}

macro_rules! features {
    ($($name:literal: $detected:tt),* $(,)?) => {
        [$(Feature {
            name: $name,
            present: || {
                #[cfg(target_arch = "x86_64")]
                {
                    std::is_x86_feature_detected!($detected)
                }
                #[cfg(not(target_arch = "x86_64"))]
                {
                    false
                }
            },
        }),*]
    };
}

/// Cranelift's setting and the CPU feature that it stands for.
const FEATURES: [Feature; 19] = features! {
    "has_avx": "avx",
    "has_avx2": "avx2",
    "has_avx512bitalg": "avx512bitalg",
    "has_avx512dq": "avx512dq",
    "has_avx512f": "avx512f",
    "has_avx512vbmi": "avx512vbmi",
    "has_avx512vl": "avx512vl",
    "has_avx512vnni": "avx512vnni",
    "has_avx_vnni": "avxvnni",
    "has_bmi1": "bmi1",
    "has_bmi2": "bmi2",
    "has_cmpxchg16b": "cmpxchg16b",
    "has_fma": "fma",
    "has_lzcnt": "lzcnt",
    "has_popcnt": "popcnt",
    "has_sse3": "sse3",
    "has_sse41": "sse4.1",
    "has_sse42": "sse4.2",
    "has_ssse3": "ssse3",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_repetition() {
        assert!(FEATURES.is_sorted_by(|left, right| left.name < right.name));
    }
}
