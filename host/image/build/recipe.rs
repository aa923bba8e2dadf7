//! How the Keep's programs are built, so that the same source and tools give the
//! same bytes in any directory, for any user, whatever their environment.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::c_library::packed_relocations;

/// A program of the Keep's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The runtime.
    Runtime,
    /// The enclave beneath it.
    ShimSgx,
    /// The virtual machine beneath it.
    ShimVm,
}

impl Program {
    /// The package, and its program, that it is built from.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Runtime => "enarx-keep-runtime",
            Self::ShimSgx => "enarx-keep-shim-sgx",
            Self::ShimVm => "enarx-keep-shim-vm",
        }
    }

    /// Flags for the compiler that this program alone has.
    const fn rust_flags(self) -> &'static [&'static str] {
        match self {
            // Nothing unwinds, and tables for it would be hashed at each start. Machines map whole large pages
            // of what is as far into one in memory as in the file.
            Self::Runtime => &[
                "-Cforce-unwind-tables=no",
                "-Clink-arg=-Wl,-z,max-page-size=0x200000",
            ],
            // Every processor that can add pages to a running enclave has these, and asking
            // which ones it has would be a call to the host.
            Self::ShimSgx => &[
                "-Ctarget-feature=+sha,+ssse3,+sse4.1",
                // The profile says so too, but build scripts are not told by it.
                "-Cpanic=abort",
            ],
            // Its addresses are in its first page tables, and so it is not moved. Its exceptions in
            // ring 0 use the stack that they find. Every processor that it is for has AES.
            Self::ShimVm => &[
                "-Crelocation-model=static",
                "-Ctarget-feature=+aes,+pclmulqdq,+ssse3,+sse4.1",
                "-Cpanic=abort",
                "-Cno-redzone=y",
            ],
        }
    }
}

/// Builds a program of the workspace at `workspace` in a directory of its own below `target`,
/// and gives the program's path.
///
/// # Errors
///
/// When cargo cannot be run or fails; it has printed why.
pub fn build(program: Program, workspace: &Path, target: &Path) -> io::Result<PathBuf> {
    let package = program.package();
    let target = &target.join(package);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args(["build", "--locked", "--package", package, "--bin", package])
        .args(["--profile", PROFILE, "--target", TRIPLE])
        .arg("--target-dir")
        .arg(target)
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| {
            KEPT_VARIABLES
                .iter()
                .any(|kept| name.eq_ignore_ascii_case(kept))
        }));
    let prefixes = prefixes(workspace, target)?;
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(program, &prefixes))
        .env("CFLAGS", c_flags(&prefixes))
        // Said here too: what is built must not depend on cargo's own configuration.
        .env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1")
        .env("SOURCE_DATE_EPOCH", "0")
        .env("ZERO_AR_DATE", "1")
        .env("LC_ALL", "C");
    if command.status()?.success() {
        Ok(target.join(TRIPLE).join(PROFILE).join(package))
    } else {
        Err(io::Error::other(format!("{package} does not build")))
    }
}

const PROFILE: &str = "keep";

/// Named although it is the host's: flags then apply to the program alone, and not
/// to build scripts and procedural macros.
pub const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Where tools are found and how they reach the network. Everything else, the
/// outer build's flags above all, stays outside.
const KEPT_VARIABLES: [&str; 16] = [
    "ALL_PROXY",
    "CARGO_HOME",
    "CARGO_HTTP_CAINFO",
    "CARGO_NET_OFFLINE",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "RUSTC",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "USER",
];

/// Directories whose names must not get into the program, and what stands for them.
/// Of two that fit, the later one counts.
fn prefixes(workspace: &Path, target: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let rustc = Rustc::ask()?;
    Ok(vec![
        (cargo_home(), "/cargo".to_owned()),
        (workspace.to_owned(), "/enarx".to_owned()),
        (target.to_owned(), "/target".to_owned()),
        // The name that the standard library has where its source is not installed.
        (
            rustc.sysroot.join("lib/rustlib/src/rust"),
            format!("/rustc/{}", rustc.commit),
        ),
    ])
}

fn rust_flags(program: Program, prefixes: &[(PathBuf, String)]) -> String {
    let mut flags = vec![
        "-Ctarget-cpu=x86-64".to_owned(),
        // With the position independence that is the default, a static PIE.
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Crelocation-model=pie".to_owned(),
        "-Clink-arg=-Wl,--build-id=none".to_owned(),
        // Randomness comes from the runtime's own module.
        "--cfg=getrandom_backend=\"custom\"".to_owned(),
    ];
    if let (Program::Runtime, Some(flag)) = (program, packed_relocations()) {
        flags.push(format!("-Clink-arg={flag}"));
    }
    flags.extend(program.rust_flags().iter().map(|flag| (*flag).to_owned()));
    for (path, name) in prefixes {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    flags.join("\u{1f}")
}

/// For the C code of dependencies. Paths with spaces are not supported by any
/// compiler's `CFLAGS`.
fn c_flags(prefixes: &[(PathBuf, String)]) -> String {
    let mut flags: Vec<_> = [
        "-g0",
        "-march=x86-64",
        // As for the compiler of Rust.
        "-fno-asynchronous-unwind-tables",
    ]
    .map(str::to_owned)
    .into();
    for (path, name) in prefixes {
        flags.push(format!("-ffile-prefix-map={}={name}", path.display()));
    }
    flags.join(" ")
}

fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    )
}

/// The compiler that cargo will use.
struct Rustc {
    sysroot: PathBuf,
    commit: String,
}

impl Rustc {
    fn ask() -> io::Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let print = |argument: &[&str]| {
            let output = Command::new(&rustc).args(argument).output()?;
            String::from_utf8(output.stdout).map_err(io::Error::other)
        };
        let version = print(&["-vV"])?;
        let commit = version
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "))
            .ok_or_else(|| io::Error::other("rustc does not name its commit"))?;
        Ok(Self {
            sysroot: PathBuf::from(print(&["--print", "sysroot"])?.trim_end()),
            commit: commit.to_owned(),
        })
    }
}
