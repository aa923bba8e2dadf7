//! How a program ended, in words for its owner.

use enarx_wire_provision::{Cause, Ending, MAX_ENDING_MESSAGE};
use wasmtime::{Error, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::{limits::Limiter, session::LostSession};

/// The ending of a program that ran to its end or failed on the way there.
pub fn of(result: Result<(), Error>, limit: &Limiter) -> Ending {
    let error = match result {
        Ok(()) => return exited(0, limit),
        Err(error) => error,
    };
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return exited(*status, limit);
    }
    if let Some(denied) = limit.denied() {
        // A program that is denied memory usually gives up by trapping.
        return early(Cause::Limit, format!("{denied}\n{error:?}"));
    }
    let cause = if is_of_program(&error) {
        Cause::Trapped
    } else {
        Cause::Failed
    };
    early(cause, format!("{error:?}"))
}

/// An ending with its cause's own status.
pub fn early(cause: Cause, message: String) -> Ending {
    Ending {
        cause,
        status: cause.default_status(),
        message: bounded(message),
    }
}

/// Whether a program has met the error by what it did: a trap, an exception that nothing catches,
/// or a call of the Keep's functions with what is no value of their types, whose error tells from
/// where in the program it came. What the Keep itself fails at comes from nowhere there.
pub fn is_of_program(error: &Error) -> bool {
    let of_program =
        error.is::<Trap>() || error.is::<ThrownException>() || error.is::<WasmBacktrace>();
    of_program && !error.is::<LostSession>()
}

/// A program that handles the denial of memory by itself still ends with its own
/// status; its owner learns of the denial where the status says that it failed.
fn exited(status: i32, limit: &Limiter) -> Ending {
    let (status, message) = match (u8::try_from(status), limit.denied()) {
        (Ok(0), _) => (0, String::new()),
        (Ok(status), denied) => (
            status,
            denied.map_or_else(String::new, |denied| denied.to_string()),
        ),
        (Err(_), _) => (
            u8::MAX,
            format!("exit status {status} is not between 0 and 255"),
        ),
    };
    Ending {
        cause: Cause::Exited,
        status,
        message,
    }
}

fn bounded(mut message: String) -> String {
    let end = message.floor_char_boundary(MAX_ENDING_MESSAGE);
    message.truncate(end);
    message
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use enarx_wire_package::Limits;
    use enarx_wire_provision::SessionError;

    use super::*;
    use crate::limits::Quotas;

    fn limiter() -> Limiter {
        Limiter::new(Arc::new(Quotas::new(&Limits::default(), 1)))
    }

    fn of_error(error: Error) -> Ending {
        of(Err(error), &limiter())
    }

    #[test]
    fn statuses_pass_through() {
        assert_eq!(of(Ok(()), &limiter()).status, 0);
        assert_eq!(of_error(I32Exit(7).into()).status, 7);
        assert_eq!(of_error(I32Exit(255).into()).status, 255);
        for status in [256, -1] {
            let ending = of_error(I32Exit(status).into());
            assert_eq!((ending.cause, ending.status), (Cause::Exited, 255));
        }
    }

    #[test]
    fn programs_are_stopped_for_what_they_have_done() {
        for error in [ThrownException.into(), Trap::UnreachableCodeReached.into()] {
            let ending = of_error(error);
            assert_eq!((ending.cause, ending.status), (Cause::Trapped, 134));
        }
        for error in [
            LostSession::from(SessionError::TooLong(1)).into(),
            wasmtime::format_err!("no room for a stack"),
        ] {
            let ending = of_error(error);
            assert_eq!((ending.cause, ending.status), (Cause::Failed, 125));
        }
    }

    #[test]
    fn messages_fit_a_frame() {
        let ending = early(Cause::Failed, "é".repeat(MAX_ENDING_MESSAGE + 1));
        assert!(ending.message.len() <= MAX_ENDING_MESSAGE);
        assert!(ending.message.len() > MAX_ENDING_MESSAGE - 4);
    }
}
