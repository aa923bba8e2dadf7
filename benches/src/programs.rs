//! The C programs, built for WebAssembly and natively by the same compiler.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::environment::Environment;

/// A program that computes, prints a checksum, and times itself.
pub struct Program {
    /// Its name in the table.
    pub name: &'static str,
    /// As WebAssembly.
    pub wasm: PathBuf,
    /// As a native executable.
    pub native: PathBuf,
}

/// What a program printed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Depends on everything that was computed.
    pub checksum: u64,
    /// The time that the computation took by the program's own clock.
    pub seconds: f64,
}

impl Program {
    /// Builds all programs into the environment's directory.
    ///
    /// # Errors
    ///
    /// When the compiler is missing, with the packages to install; or what the
    /// compiler says.
    pub fn build_all(environment: &Environment) -> anyhow::Result<Vec<Self>> {
        SOURCES
            .iter()
            .map(|(name, source)| {
                let source = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("programs")
                    .join(source);
                let program = Self {
                    name,
                    wasm: environment.path(format!("{name}.wasm")),
                    native: environment.path(name),
                };
                compile(&source, &program.wasm, &WASM_OPTIONS)?;
                compile(&source, &program.native, &[])?;
                Ok(program)
            })
            .collect()
    }
}

impl Outcome {
    /// Reads the line that a program printed.
    ///
    /// # Errors
    ///
    /// When it is another line than a program prints.
    pub fn parse(output: &str) -> anyhow::Result<Self> {
        let fields: Vec<u64> = output
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("a program printed {output:?}"))?;
        let &[checksum, nanoseconds] = fields.as_slice() else {
            bail!("a program printed {output:?}");
        };
        Ok(Self {
            checksum,
            seconds: nanoseconds as f64 / 1e9,
        })
    }
}

const SOURCES: [(&str, &str); 4] = [
    ("SHA-256", "sha256.c"),
    ("JSON parsing", "json.c"),
    ("matrix product", "matrix.c"),
    ("pointer chasing", "pointers.c"),
];

/// For both targets alike. Without contraction, floating-point results are the same
/// on every machine.
const OPTIONS: [&str; 3] = ["-std=gnu11", "-O2", "-ffp-contract=off"];

/// The features of WebAssembly 2.0, and nothing of a C library.
const WASM_OPTIONS: [&str; 8] = [
    "--target=wasm32",
    "-ffreestanding",
    "-nostdlib",
    "-mbulk-memory",
    "-msimd128",
    "-msign-ext",
    "-mnontrapping-fptoint",
    "-Wl,-z,stack-size=1048576",
];

fn compile(source: &Path, output: &Path, options: &[&str]) -> anyhow::Result<()> {
    let result = Command::new("clang")
        .args(OPTIONS)
        .args(options)
        .arg("-o")
        .args([output, source])
        .output()
        .context(NO_COMPILER)?;
    if result.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&result.stderr);
    if message.contains("wasm-ld") {
        bail!("{NO_COMPILER} ({})", message.trim());
    }
    bail!("clang refused {}: {}", source.display(), message.trim());
}

const NO_COMPILER: &str = "the C programs need clang and its WebAssembly linker; on Debian and Ubuntu: apt-get install clang lld";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_line_is_accepted() {
        let good = Outcome::parse("7 2500000000\n").unwrap();
        assert_eq!((good.checksum, good.seconds), (7, 2.5));
        for bad in ["", "7", "7 8 9", "seven 8", "-7 8"] {
            assert!(Outcome::parse(bad).is_err(), "{bad:?}");
        }
    }
}
