//! The `enarx` command.
//!
//! | subject | module |
//! |---|---|
//! | the command line, defined once for parsing, help, completions and man pages | [`cli`], [`arguments`], [`commands`] |
//! | exit statuses | [`exit`] |
//! | errors for people | [`failure`] |
//! | what is written to the terminal | [`console`], [`progress`] |
//! | attest, package, provision | [`deployment`] |
//! | between terminal and Keep | [`relay`] |
//! | a host on this machine | [`local_host`] |
//! | where files are kept | [`directories`] |
//! | what SGX enclaves have of their own | [`enclave`] |
//! | what SEV-SNP machines have of their own | [`machine`] |
//! | how hosts are found by name | [`names`] |
//! | the C library's heap | [`heap`] |
//! | where a static program begins | `entry` |

mod arguments;
mod cli;
mod commands;
mod console;
mod deployment;
mod directories;
mod enclave;
#[cfg(target_feature = "crt-static")]
mod entry;
mod exit;
mod failure;
mod fetching;
mod heap;
mod local_host;
mod machine;
mod names;
mod progress;
mod reference;
mod relay;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command},
    console::Console,
};

fn main() -> ExitCode {
    enarx_host_launcher::become_keep_if_asked(local_host::keep_image);
    let cli = match Cli::of_this_process() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    match &cli.command {
        Command::Run(_) => heap::share(),
        _ => names::use_hosts_file_and_dns(),
    }
    let console = Console::new(&cli.global);
    match cli.command.run(&console) {
        Ok(status) => status.into(),
        Err(error) => failure::report(&error),
    }
}
