//! Exit statuses: one table for the code, the help and the man pages.

use std::process::ExitCode;

use enarx_owner_deployer::AttestError;
use enarx_owner_evidence::materials::Unrecognized;
use enarx_wire_provision::{Cause, OfferError};

/// The status that the command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// It did what it was asked for.
    pub const SUCCESS: Self = Self(0);
    /// A step of a selftest failed.
    pub const SELFTEST: Self = Self(1);
    /// What was given as evidence is none.
    pub const MALFORMED: Self = Self(118);
    /// What endorses evidence is missing or stale.
    pub const COLLATERAL: Self = Self(119);
    /// The Keep could not prove what it is.
    pub const NOT_GENUINE: Self = Self(120);
    /// The Keep proved what it is, and the policy does not want that.
    pub const REJECTED: Self = Self(121);
    /// The program went over a limit.
    pub const LIMIT: Self = Self(Cause::Limit.default_status());
    /// The command itself failed.
    pub const FAILED: Self = Self(Cause::Failed.default_status());
    /// The Keep could not start the program.
    pub const REFUSED: Self = Self(Cause::Refused.default_status());
    /// The user interrupted the command before the program ran.
    pub const INTERRUPTED: Self = Self(130);
    /// The program trapped.
    pub const TRAPPED: Self = Self(Cause::Trapped.default_status());
    /// Nobody reads the output any more.
    pub const BROKEN_PIPE: Self = Self(141);
    /// The program was stopped.
    pub const STOPPED: Self = Self(Cause::Stopped.default_status());

    /// Every status with a meaning of its own.
    pub const TABLE: [(Self, &'static str); 13] = [
        (Self::SUCCESS, "success; or the program exited with 0"),
        (Self::SELFTEST, "`platform selftest`: a step failed"),
        (
            Self::MALFORMED,
            "`verify`: the files are not evidence, or are damaged",
        ),
        (
            Self::COLLATERAL,
            "`verify`: an endorsement or collateral is missing, or is stale",
        ),
        (
            Self::NOT_GENUINE,
            "the Keep did not prove what it is; nothing was sent to it",
        ),
        (
            Self::REJECTED,
            "the policy rejects what the Keep proved to be; nothing was sent to it",
        ),
        (Self::LIMIT, "the program went over a limit"),
        (
            Self::FAILED,
            "enarx itself failed: wrong usage, an unreadable file, an unreachable host, ...",
        ),
        (Self::REFUSED, "the Keep could not start the program"),
        (Self::INTERRUPTED, "interrupted before the program ran"),
        (Self::TRAPPED, "the program trapped"),
        (Self::BROKEN_PIPE, "whoever read the output went away"),
        (Self::STOPPED, "the program was stopped by its owner"),
    ];

    /// The table as a section of the help.
    pub fn help() -> String {
        let mut text = String::from("Exit status:\n");
        for (Self(status), meaning) in Self::TABLE {
            text.push_str(&format!("  {status:>3}  {meaning}\n"));
        }
        text.push_str(
            "`run`, `deploy` and `attach` end with the program's own status, from 0 to 255. A \
             program can choose a status of this table too; the JSON of `deploy --json` and \
             `logs --json` tells the two apart.",
        );
        text
    }

    /// The status for a command that failed.
    pub fn of_error(error: &anyhow::Error) -> Self {
        error.chain().find_map(of_cause).unwrap_or(Self::FAILED)
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.0.into()
    }
}

/// The status for one error of a chain, if it decides.
fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Status> {
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        let broken = error.kind() == std::io::ErrorKind::BrokenPipe;
        return broken.then_some(Status::BROKEN_PIPE);
    }
    match cause.downcast_ref::<Unrecognized>() {
        Some(Unrecognized::Unknown | Unrecognized::TooLarge(_) | Unrecognized::LargeJson(_)) => {
            return Some(Status::MALFORMED);
        }
        // Too many files are a wrong use of the command.
        Some(Unrecognized::TooMany) | None => {}
    }
    match cause.downcast_ref::<AttestError>()? {
        AttestError::Host(_) => None,
        AttestError::Offer(OfferError::Version(_)) => None,
        AttestError::Offer(_) | AttestError::UnknownKind(_) => Some(Status::NOT_GENUINE),
        AttestError::Rejected(rejected) => {
            // The signature and what it covers say whether it is a Keep at all; the
            // other checks compare it with what the owner wants.
            let proven =
                rejected.verdict().checks().iter().all(|check| {
                    check.passed || !matches!(&*check.name, "evidence" | "report data")
                });
            Some(if proven {
                Status::REJECTED
            } else {
                Status::NOT_GENUINE
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_documented_once_and_in_order() {
        let numbers = Status::TABLE.map(|(Status(number), _)| number);
        assert!(numbers.is_sorted_by(|left, right| left < right));
        assert!(Status::help().contains("\n  126  the Keep could not start the program\n"));
    }

    #[test]
    fn errors_decide_their_status() {
        let status = |error: anyhow::Error| Status::of_error(&error);
        assert_eq!(status(anyhow::anyhow!("anything")), Status::FAILED);
        let nonce = AttestError::Offer(OfferError::WrongNonce);
        let nonce = anyhow::Error::from(nonce).context("attestation failed");
        assert_eq!(status(nonce), Status::NOT_GENUINE);
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(status(pipe.into()), Status::BROKEN_PIPE);
        let other = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(status(other.into()), Status::FAILED);
    }
}
