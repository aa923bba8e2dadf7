//! A Keep's life as a state machine.
//!
//! ```text
//!            OfferCame         GrantSent             GrantOpened
//!  Started ------------> Offered -----> Provisioning -----------> Provisioned
//!                                                                      | UploadBegan
//!                                  Running <-----------------------  Loading
//!                                               UploadComplete
//!  each of them ------> Ended
//! ```

use std::{sync::Arc, time::SystemTime};

use enarx_wire_host_api::{EndKind, KeepEnd, KeepState};

/// Where a Keep is in its life.
#[derive(Debug, Clone)]
pub(crate) enum Life {
    Started,
    Offered,
    Provisioning,
    Provisioned,
    Loading,
    Running,
    Ended(Arc<End>),
}

/// How and when a Keep ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) how: KeepEnd,
    pub(crate) at: SystemTime,
}

/// A step in a Keep's life before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    OfferCame,
    GrantSent,
    GrantOpened,
    UploadBegan,
    UploadComplete,
}

impl Life {
    /// The state after `step`, or `None` when it is not due.
    pub(crate) fn after(&self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Started, Step::OfferCame) => Some(Self::Offered),
            (Self::Offered, Step::GrantSent) => Some(Self::Provisioning),
            (Self::Provisioning, Step::GrantOpened) => Some(Self::Provisioned),
            (Self::Provisioned, Step::UploadBegan) => Some(Self::Loading),
            (Self::Loading, Step::UploadComplete) => Some(Self::Running),
            _ => None,
        }
    }

    /// The state as callers see it.
    pub(crate) fn state(&self) -> KeepState {
        match self {
            Self::Started => KeepState::Started,
            Self::Offered => KeepState::Offered,
            Self::Provisioning => KeepState::Provisioning,
            Self::Provisioned => KeepState::Provisioned,
            Self::Loading => KeepState::Loading,
            Self::Running => KeepState::Running,
            Self::Ended(_) => KeepState::Ended,
        }
    }

    /// The end, when there is one.
    pub(crate) fn end(&self) -> Option<&Arc<End>> {
        match self {
            Self::Ended(end) => Some(end),
            _ => None,
        }
    }
}

/// An end of the kind `kind`, without a failure code.
pub(crate) fn end(kind: EndKind, detail: impl Into<String>) -> KeepEnd {
    KeepEnd {
        kind,
        detail: detail.into(),
        failure_code: None,
        diagnostics: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drawn_steps_are_due() {
        let steps = [
            Step::OfferCame,
            Step::GrantSent,
            Step::GrantOpened,
            Step::UploadBegan,
            Step::UploadComplete,
        ];
        let mut life = Life::Started;
        for due in steps {
            for step in steps {
                assert_eq!(life.after(step).is_some(), step == due, "{life:?} {step:?}");
            }
            life = life.after(due).unwrap();
        }
        assert_eq!(life.state(), KeepState::Running);
        let ended = Life::Ended(Arc::new(End {
            how: end(EndKind::Completed, ""),
            at: SystemTime::now(),
        }));
        for step in steps {
            assert!(life.after(step).is_none());
            assert!(ended.after(step).is_none());
        }
    }
}
