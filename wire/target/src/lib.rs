//! The compile target of a Keep.
//!
//! A Keep has no compiler. It states, as part of its attested claims, for what
//! its runtime can load machine code: a [`CompileTarget`]. The owner compiles for
//! exactly that, and the runtime loads nothing that was compiled for anything
//! else. Both configure wasmtime through [`CompileTarget::engine_config`], so the
//! two sides cannot drift apart.
//!
//! The type alone has no dependency on wasmtime; the features `engine` (the
//! runtime's side) and `compiler` (the owner's side) add it.

mod cpu;
#[cfg(feature = "engine")]
mod engine;
pub mod interfaces;

#[cfg(feature = "engine")]
pub use engine::{ASYNC_STACK_SIZE, WASM_STACK_SIZE};

/// Stands for everything about compiled code that a [`CompileTarget`] does not
/// say but this version of the project fixes: the source of the configuration
/// itself. Whoever stores compiled code stores it under a digest of this too.
pub const ENGINE_CONFIGURATION: &str = include_str!("engine.rs");

use serde::{Deserialize, Serialize};

/// The exact version of wasmtime that this project is built with. Machine code
/// from any other version is refused.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// The target triple of every Keep so far.
pub const X86_64_LINUX: &str = "x86_64-unknown-linux-gnu";

/// For what a Keep's runtime can load machine code.
///
/// Values are well-formed: bounded text, features sorted and without repetition.
/// Whether this build *supports* a target is decided by
/// [`CompileTarget::check_supported`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct CompileTarget {
    wasmtime: String,
    triple: String,
    features: Vec<String>,
    memory: MemoryStrategy,
}

/// How functions of components call each other, and so of which WASI they can be.
///
/// Code and engine must agree in it. Keeping track of asynchronous calls costs every call and
/// every instance, so that only programs that need it have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// One after the other: modules, and components of WASI 0.2.
    Synchronous,
    /// Several at a time, with streams and futures between them: components of WASI 0.3.
    Asynchronous,
}

impl Calls {
    /// What a program may need that may use WASI 0.3 (`preview3`), or that may not.
    #[must_use]
    pub const fn with_preview3(preview3: bool) -> Self {
        match preview3 {
            true => Self::Asynchronous,
            false => Self::Synchronous,
        }
    }
}

/// How compiled code keeps accesses inside a linear memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryStrategy {
    /// Address space is reserved around each memory and a stray access faults;
    /// the runtime's signal handler turns the fault into a trap. Fast, and the
    /// default.
    GuardPages,
    /// Every access is compared with the memory's bound, no signal is needed.
    /// For TEEs with little address space; code is larger and up to twice slower.
    Bounded,
}

impl CompileTarget {
    /// A target from its parts; features are sorted and repetitions dropped.
    ///
    /// # Errors
    ///
    /// [`TargetError::Malformed`] when a text is empty, too long, or has other
    /// characters than letters, digits, `_`, `-` and `.`.
    pub fn new(
        wasmtime: &str,
        triple: &str,
        features: impl IntoIterator<Item = String>,
        memory: MemoryStrategy,
    ) -> Result<Self, TargetError> {
        let mut features: Vec<String> = features.into_iter().take(MAX_FEATURES + 1).collect();
        features.sort();
        features.dedup();
        Self::try_from(Unchecked {
            wasmtime: wasmtime.to_owned(),
            triple: triple.to_owned(),
            features,
            memory,
        })
    }

    /// The target of this program on this machine: the runtime's own wasmtime and
    /// architecture, and every CPU feature found here that the compiler can use.
    ///
    /// # Errors
    ///
    /// [`TargetError::Triple`] on an architecture or operating system for which no
    /// Keep exists.
    pub fn detect(memory: MemoryStrategy) -> Result<Self, TargetError> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Err(TargetError::Triple {
                wanted: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            });
        }
        let features = cpu::detected().map(str::to_owned);
        Self::new(WASMTIME_VERSION, X86_64_LINUX, features, memory)
    }

    /// Checks that this build of wasmtime can compile for and load this target.
    ///
    /// # Errors
    ///
    /// [`TargetError`] names the version, the triple or the CPU feature that is
    /// not known here.
    pub fn check_supported(&self) -> Result<(), TargetError> {
        if self.wasmtime != WASMTIME_VERSION {
            return Err(TargetError::Version {
                wanted: self.wasmtime.clone(),
            });
        }
        if self.triple != X86_64_LINUX {
            return Err(TargetError::Triple {
                wanted: self.triple.clone(),
            });
        }
        match self.features.iter().find(|name| !cpu::is_known(name)) {
            Some(name) => Err(TargetError::Feature { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// The exact version of wasmtime, such as `48.0.8`.
    #[must_use]
    pub fn wasmtime(&self) -> &str {
        &self.wasmtime
    }

    /// The target triple, such as `x86_64-unknown-linux-gnu`.
    #[must_use]
    pub fn triple(&self) -> &str {
        &self.triple
    }

    /// The CPU features beyond the architecture's baseline, under Cranelift's
    /// names for them (`has_avx2`), sorted.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// How linear memories are guarded.
    #[must_use]
    pub const fn memory(&self) -> MemoryStrategy {
        self.memory
    }
}

/// Why a compile target was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A part of the target has a form that no target has.
    #[error("the compile target's {part} is malformed")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The Keep's wasmtime is another one than this program's.
    #[error(
        "the Keep's runtime is wasmtime {wanted}, this program compiles for wasmtime {WASMTIME_VERSION}"
    )]
    Version {
        /// The version that the target names.
        wanted: String,
    },
    /// There is no code generator or no Keep for this triple.
    #[error("{wanted} is not a supported target, only {X86_64_LINUX} is")]
    Triple {
        /// The triple that the target names.
        wanted: String,
    },
    /// The code generator does not know this CPU feature.
    #[error("the compiler does not know the CPU feature {name}")]
    Feature {
        /// The feature that the target names.
        name: String,
    },
    /// wasmtime refused the configuration.
    #[error("wasmtime refused the compile target: {0}")]
    Engine(String),
}

/// The most CPU features that a target may name.
const MAX_FEATURES: usize = 64;

/// The longest text in a target, in bytes.
const MAX_TEXT: usize = 64;

/// What is read from the wire, before its form is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    wasmtime: String,
    triple: String,
    features: Vec<String>,
    memory: MemoryStrategy,
}

impl TryFrom<Unchecked> for CompileTarget {
    type Error = TargetError;

    fn try_from(target: Unchecked) -> Result<Self, TargetError> {
        let malformed = |part| Err(TargetError::Malformed { part });
        if !is_name(&target.wasmtime) {
            return malformed("wasmtime version");
        }
        if !is_name(&target.triple) {
            return malformed("triple");
        }
        // Strictly ascending: one target has one encoding, and thus one digest.
        let ascending = target.features.is_sorted_by(|left, right| left < right);
        if target.features.len() > MAX_FEATURES
            || !ascending
            || !target.features.iter().all(|name| is_name(name))
        {
            return malformed("list of CPU features");
        }
        Ok(Self {
            wasmtime: target.wasmtime,
            triple: target.triple,
            features: target.features,
            memory: target.memory,
        })
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_locked_one() {
        let lock = include_str!("../../../Cargo.lock");
        let mut packages = lock.split("[[package]]");
        let wasmtime = packages
            .find(|package| package.contains("name = \"wasmtime\"\n"))
            .unwrap();
        let version = format!("version = \"{WASMTIME_VERSION}\"\n");
        assert!(wasmtime.contains(&version), "{wasmtime}");
    }

    #[test]
    fn the_own_target_is_supported_and_survives_the_wire() {
        let target = CompileTarget::detect(MemoryStrategy::GuardPages).unwrap();
        target.check_supported().unwrap();
        let text = serde_json::to_string(&target).unwrap();
        assert!(text.contains("\"guard-pages\""), "{text}");
        assert_eq!(
            serde_json::from_str::<CompileTarget>(&text).unwrap(),
            target
        );
    }

    #[test]
    fn unsupported_targets_are_named() {
        let target = |version: &str, triple: &str, feature: &str| {
            CompileTarget::new(
                version,
                triple,
                [feature.to_owned()],
                MemoryStrategy::GuardPages,
            )
            .unwrap()
            .check_supported()
        };
        assert_eq!(
            target("47.0.0", X86_64_LINUX, "has_avx2"),
            Err(TargetError::Version {
                wanted: "47.0.0".into()
            })
        );
        assert_eq!(
            target(WASMTIME_VERSION, "aarch64-unknown-linux-gnu", "has_lse"),
            Err(TargetError::Triple {
                wanted: "aarch64-unknown-linux-gnu".into()
            })
        );
        assert_eq!(
            target(WASMTIME_VERSION, X86_64_LINUX, "has_time_travel"),
            Err(TargetError::Feature {
                name: "has_time_travel".into()
            })
        );
    }

    #[test]
    fn malformed_targets_are_refused() {
        let refused = |text: &str| serde_json::from_str::<CompileTarget>(text).is_err();
        let good = r#"{"wasmtime":"1","triple":"a","features":["a","b"],"memory":"bounded"}"#;
        assert!(!refused(good));
        assert!(refused(&good.replace(r#"["a","b"]"#, r#"["b","a"]"#)));
        assert!(refused(&good.replace(r#"["a","b"]"#, r#"["a","a"]"#)));
        assert!(refused(&good.replace(r#""1""#, r#""""#)));
        assert!(refused(&good.replace(r#""1""#, r#""1\n""#)));
        assert!(refused(&good.replace("bounded", "none")));
        assert!(refused(&good.replace("}", r#","extra":1}"#)));
        let many: Vec<String> = (0..=MAX_FEATURES).map(|n| format!("f{n:03}")).collect();
        let many = serde_json::to_string(&many).unwrap();
        assert!(refused(&good.replace(r#"["a","b"]"#, &many)));
    }
}
