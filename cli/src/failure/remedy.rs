//! What to do about the errors that the libraries give, wherever they come up.

use std::error::Error;

use enarx_owner_deployer::{
    AttestError, HostError, ProvisionError, RecordError, SessionFailure,
    application::ApplicationError,
};
use enarx_wire_host_api::ErrorCode;
use enarx_wire_package::{PackageError, StreamError};

/// What to do about `error` itself, not about what it stems from; `None` when only the
/// command that it stopped can tell.
pub fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref() {
        return of_host(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_application(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_package(error);
    }
    if let Some(error) = error.downcast_ref() {
        return of_record(error);
    }
    // These stand for what they wrap, and are alone in the chain.
    if let Some(AttestError::Host(error)) = error.downcast_ref() {
        return of_host(error);
    }
    if let Some(SessionFailure::Host(error)) = error.downcast_ref() {
        return of_host(error);
    }
    match error.downcast_ref()? {
        ProvisionError::Host(error) => of_host(error),
        ProvisionError::Data(error) => of_application(error),
        _ => None,
    }
}

fn of_host(error: &HostError) -> Option<&'static str> {
    match error {
        HostError::Unreachable(reason) if reason.contains("certificate") => Some(
            "the host's certificate must name this address, be valid now, and come from an \
             authority that this system knows or that --tls-authorities FILE names (or the \
             variable ENARX_TLS_AUTHORITIES); `enarx host serve --help` shows how to make one",
        ),
        HostError::Unreachable(_) | HostError::NotAHost(_) => {
            Some("check the address, and that `enarx host serve` runs there")
        }
        HostError::Refused(problem) => of_refusal(problem.code),
        HostError::Broken(_) | HostError::Malformed(_) => None,
    }
}

fn of_refusal(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::Unauthorized => {
            "give the token that `enarx host serve --token-file` was given: name its file with \
             --token-file FILE, or in the variable ENARX_TOKEN_FILE"
        }
        ErrorCode::UnknownKeep => {
            "it ended long ago, or the host was started anew; `enarx ps --forget-gone` forgets \
             the sessions with such Keeps"
        }
        ErrorCode::NetworkDenied => {
            "have the host's operator permit it: `enarx host serve --network`"
        }
        ErrorCode::MemoryOverLimit => {
            "ask for less with --keep-memory SIZE, or have the host's operator raise \
             --max-keep-memory"
        }
        ErrorCode::TooManyKeeps | ErrorCode::MemoryExhausted => {
            "try again when another Keep has ended; `enarx ps --host URL` lists the host's Keeps"
        }
        ErrorCode::PackageTooLarge => {
            "give the program less data, or have the host's operator raise --max-package"
        }
        _ => return None,
    })
}

fn of_application(error: &ApplicationError) -> Option<&'static str> {
    Some(match error {
        ApplicationError::NoProgram { .. } => {
            "compile your program to WebAssembly (such as `cargo build --target \
             wasm32-wasip1`), or give the .wasm file itself"
        }
        ApplicationError::KeyNeeded { .. } => "add --key FILE",
        ApplicationError::KeyUnused { .. } => {
            "leave --key out, or give the package that `enarx package build` wrote"
        }
        ApplicationError::Configuration(_) => {
            "`enarx config init` writes an Enarx.toml with every key explained"
        }
        ApplicationError::Package { error, .. } => return of_package(error),
        _ => return None,
    })
}

fn of_package(error: &PackageError) -> Option<&'static str> {
    match error {
        PackageError::Stream(error) => of_stream(error),
        PackageError::Entry { source, .. } => of_stream(source.get_ref()?.downcast_ref()?),
        PackageError::Size { .. } => {
            Some("a data file changed while it was read; try again when nothing writes to it")
        }
        _ => None,
    }
}

fn of_stream(error: &StreamError) -> Option<&'static str> {
    match error {
        StreamError::NotAPackage => Some("`enarx package build` makes a package of an application"),
        StreamError::Version(_) => Some("build the package again with this version of enarx"),
        StreamError::WrongKey => {
            Some("give the key file that was written when this package was built")
        }
        StreamError::Truncated | StreamError::Altered { .. } => {
            Some("it was damaged or tampered with; take it again from where it was built")
        }
        _ => None,
    }
}

fn of_record(error: &RecordError) -> Option<&'static str> {
    match error {
        RecordError::Unnamed | RecordError::Unknown(_) => Some(
            "`enarx ps --sessions` lists the Keeps that were deployed from here; the beginning of \
             an identifier is enough",
        ),
        RecordError::Ambiguous(_) => {
            Some("give more of the identifier; `enarx ps --sessions` lists them in full")
        }
        RecordError::Malformed { .. } => Some(
            "delete the file to forget this session; its Keep's output can then no longer be read",
        ),
        RecordError::Io { .. } => None,
    }
}
