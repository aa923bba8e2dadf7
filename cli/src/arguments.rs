//! Arguments that several commands share.

use std::fmt;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use enarx_owner_deployer::{
    HttpHost, HttpHostError,
    application::{
        Application, LoadOptions, Mount, parse_bytes, parse_duration, read_key_file,
        read_secret_file,
    },
};
use enarx_wire_package::{ContentKey, Limits};
use enarx_wire_provision::OwnerSecret;
use zeroize::Zeroizing;

use crate::{
    console::Console,
    failure::{Advice, WithAdvice as _},
};

/// The application and what it is given.
#[derive(Debug, Args)]
pub struct ApplicationArguments {
    /// The application: a .wasm or .wat file, a folder, or a package
    ///
    /// A folder is run as its Enarx.toml says (see `enarx config init`); without one,
    /// its main.wasm, main.wat or only program is run. A package needs --key.
    #[arg(value_name = "APP")]
    pub application: PathBuf,

    /// The key file of the package, if the application is one
    ///
    /// `enarx package build` wrote it. It must be readable by you alone. With an
    /// application that is no package, it is an error.
    #[arg(short, long, value_name = "FILE", help_heading = "Application")]
    pub key: Option<PathBuf>,

    /// The secret that the program's own keys are derived from
    ///
    /// A program may ask for keys that are the same whenever the application of this name is
    /// deployed with this secret, to encrypt what it stores outside of its Keep.
    /// `enarx key generate --secret FILE` makes one; who has it can derive the keys, and
    /// without it nobody can. For a package it takes the place of the package's own key. A
    /// simulated Keep, which its host can read, gets other keys than a genuine one.
    #[arg(long, value_name = "FILE", help_heading = "Application")]
    pub secret: Option<PathBuf>,

    #[command(flatten)]
    pub given: GivenArguments,
}

/// What an application is given beside what it brings.
#[derive(Args)]
#[command(next_help_heading = "Application")]
pub struct GivenArguments {
    /// Set a variable, or hand on this one's value (repeatable)
    ///
    /// Nothing of the environment reaches the program otherwise. What Enarx.toml sets
    /// is replaced. With KEY alone the value is taken from the environment, and does
    /// not appear in the list of processes.
    #[arg(short, long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    pub env: Vec<(String, String)>,

    /// Give the program a file or directory to read (repeatable)
    ///
    /// TARGET is the absolute path that the program sees. The files are encrypted with
    /// the application; what a program writes to them stays in the Keep and ends with it.
    #[arg(short, long = "mount", value_name = "SOURCE:TARGET", value_parser = mount)]
    pub mounts: Vec<Mount>,

    /// Limit the memory that the program may use, such as 256MiB
    ///
    /// All linear memories together. Replaces the limit in Enarx.toml.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub memory_limit: Option<u64>,

    /// End the program after this time, such as 30s
    ///
    /// Replaces the limit in Enarx.toml. The Keep counts it, so a host can only make
    /// it longer. The exit status is then 124.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// Arguments for the program, after those in Enarx.toml
    #[arg(last = true, value_name = "ARGUMENT")]
    pub args: Vec<String>,
}

impl fmt::Debug for GivenArguments {
    /// Values may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("GivenArguments")
            .field("env", &names)
            .field("mounts", &self.mounts)
            .field("memory_limit", &self.memory_limit)
            .field("timeout", &self.timeout)
            .field("args", &self.args.len())
            .finish()
    }
}

impl ApplicationArguments {
    /// Loads the application.
    ///
    /// # Errors
    ///
    /// What is wrong with the application or its key files.
    pub fn load(&self) -> anyhow::Result<Application> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let secret = self.secret.as_deref().map(read_secret).transpose()?;
        let options = LoadOptions {
            key,
            secret,
            ..self.given.load_options()
        };
        Ok(Application::load(&self.application, options)?)
    }
}

impl GivenArguments {
    /// As options for loading an application.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            args: self.args.clone(),
            env: self.env.clone(),
            mounts: self.mounts.clone(),
            limits: Limits {
                memory_bytes: self.memory_limit,
                wall_milliseconds: self.timeout.map(milliseconds),
                ..Limits::default()
            },
            key: None,
            secret: None,
        }
    }
}

/// Reads a package's key file.
///
/// # Errors
///
/// What is wrong with it.
pub fn read_key(path: &Path) -> anyhow::Result<ContentKey> {
    read_key_file(path).with_advice(|| {
        (
            "cannot use the package's key",
            "give the key file that `enarx package build` wrote, readable by you alone",
        )
    })
}

/// Reads the file of a secret for programs' keys.
fn read_secret(path: &Path) -> anyhow::Result<OwnerSecret> {
    read_secret_file(path).with_advice(|| {
        (
            "cannot use the secret for the program's keys",
            "give --secret a file that `enarx key generate --secret` wrote, readable by you alone",
        )
    })
}

/// How a host is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Host")]
pub struct HostAccessArguments {
    /// A file with the token that the host asks for
    ///
    /// The same file that `enarx host serve --token-file` was given. It only protects
    /// the host from strangers; what you send is encrypted to the Keep in any case.
    #[arg(long, value_name = "FILE", env = "ENARX_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Certificate authorities for the host's TLS certificate, in PEM
    ///
    /// In addition to those of the system.
    #[arg(long, value_name = "FILE", env = "ENARX_TLS_AUTHORITIES")]
    pub tls_authorities: Option<PathBuf>,
}

impl HostAccessArguments {
    /// A connection to the host at `url`. Warns of a token that others could read.
    ///
    /// # Errors
    ///
    /// For a URL that is none, or a file that cannot be read.
    pub fn connect(&self, url: &str, console: &Console) -> anyhow::Result<HttpHost> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let authorities = self
            .tls_authorities
            .as_deref()
            .map(|path| {
                std::fs::read(path).with_advice(|| {
                    (
                        format!("cannot read the authorities in {}", path.display()),
                        "name a file with certificates in PEM, with --tls-authorities FILE or in \
                         the variable ENARX_TLS_AUTHORITIES",
                    )
                })
            })
            .transpose()?;
        let host = HttpHost::new(url, token, authorities.as_deref()).map_err(|error| {
            let help = match &error {
                HttpHostError::NoScheme { url } => {
                    format!("write http://{url}, or https://{url} for a host with TLS")
                }
                HttpHostError::Url { .. } => {
                    "write the host's address like http://machine:7363".to_owned()
                }
                HttpHostError::Authorities(_) => {
                    "--tls-authorities FILE takes certificates in PEM".to_owned()
                }
                HttpHostError::Client(_) => {
                    "https needs this machine's certificate authorities: on Debian and Ubuntu, \
                     `apt-get install ca-certificates`"
                        .to_owned()
                }
            };
            Advice::error(error.to_string(), help)
        })?;
        if host.exposes_token() {
            console.warn(format_args!(
                "whoever is on the way to {url} can read the host's token; `enarx host serve \
                 --help` shows how a host speaks TLS"
            ));
        }
        Ok(host)
    }
}

/// Reads an access token from a file: its text without white space around it.
///
/// # Errors
///
/// When the file cannot be read, or holds no token.
pub fn read_token(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_advice(|| {
            (
                format!("cannot read the token in {}", path.display()),
                "name the file that `enarx host serve --token-file` was given with --token-file \
                 FILE, or in the variable ENARX_TOKEN_FILE",
            )
        })?;
    let token = text.trim();
    if token.is_empty() || token.chars().any(|character| !character.is_ascii_graphic()) {
        return Err(Advice::error(
            format!("{}: there is no token in this file", path.display()),
            "write a random text into it, such as: openssl rand -hex 32 > FILE",
        ));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// Milliseconds, or as many as can be said.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => {
            let value = std::env::var(text).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    format!("{text} is not set here; write {text}=VALUE")
                }
                std::env::VarError::NotUnicode(_) => format!("the value of {text} is not UTF-8"),
            })?;
            (text, value)
        }
    };
    if name.is_empty() {
        return Err("the variable has no name".to_owned());
    }
    Ok((name.to_owned(), value))
}

fn mount(text: &str) -> Result<Mount, String> {
    // Programs' paths rarely contain colons; the owner's may.
    let (source, target) = text
        .rsplit_once(':')
        .filter(|(source, _)| !source.is_empty())
        .ok_or("write it as SOURCE:TARGET, such as data:/data")?;
    Mount::new(source, target).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_set_or_handed_on() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(variable("A=1=2"), pair("A", "1=2"));
        assert_eq!(variable("A="), pair("A", ""));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(variable("PATH"), pair("PATH", &path));
        assert!(variable("=x").is_err());
        assert!(
            variable("ENARX_SURELY_NOT_SET")
                .unwrap_err()
                .contains("is not set")
        );
    }

    #[test]
    fn mounts_have_two_parts() {
        let parsed = mount("C:a:/data").unwrap();
        assert_eq!(parsed.source, Path::new("C:a"));
        assert_eq!(parsed.target, "/data");
        for wrong in ["data", ":/data", "data:", "data:relative", "data:/a/../b"] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_one_word() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, " abc123\n").unwrap();
        assert_eq!(*read_token(file.path()).unwrap(), "abc123");
        for wrong in ["", "\n", "two words", "ümlaut"] {
            std::fs::write(&file, wrong).unwrap();
            assert!(read_token(file.path()).is_err(), "{wrong}");
        }
    }
}
