//! What the service refuses, and how callers are told.

use std::sync::Arc;

use enarx_wire_host_api::{
    ErrorCode, FrameError, KeepEnd, KeepId, KeepState, Problem, StartRequestError,
};

/// Why the service refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// The start request is not as it must be.
    #[error(transparent)]
    StartRequest(#[from] StartRequestError),
    /// The backend never takes such a start request; says why.
    #[error("{0}")]
    Order(String),
    /// No backend has this name.
    #[error("no backend is called `{0}`")]
    UnknownBackend(String),
    /// The backend cannot start a Keep of this sort here; says what is missing.
    #[error("{0}")]
    BackendUnavailable(String),
    /// Keeps may not use the network here.
    #[error("the application asks for it")]
    NetworkDenied,
    /// The Keep would have more memory than one may.
    #[error("{asked} bytes of memory were asked for, and a Keep may have {limit}")]
    MemoryOverLimit {
        /// Bytes that were asked for.
        asked: u64,
        /// Bytes that one Keep may have.
        limit: u64,
    },
    /// The living Keeps leave too little memory.
    #[error("{asked} bytes of memory were asked for, and {left} are left")]
    MemoryExhausted {
        /// Bytes that were asked for.
        asked: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// As many Keeps live as may.
    #[error("no more than {0} may live at a time, and that many Keeps do")]
    TooManyKeeps(usize),
    /// The backend tried and did not succeed.
    #[error("{0}")]
    LaunchFailed(String),
    /// The service is about to end.
    #[error("no new Keep is started")]
    ShuttingDown,
    /// No Keep has this identifier.
    #[error("no Keep is called {0}; it may have ended long ago")]
    UnknownKeep(KeepId),
    /// The Keep is not in the state that the request needs.
    #[error("the Keep is {state}, and must be {needed}")]
    WrongState {
        /// The state it is in.
        state: KeepState,
        /// The state it must be in.
        needed: KeepState,
    },
    /// The Keep had ended before the request.
    #[error("{0}")]
    KeepEnded(Arc<KeepEnd>),
    /// The Keep ended while the request waited for it.
    #[error("{0}")]
    KeepFailed(Arc<KeepEnd>),
    /// The grant does not fit one envelope of the channel.
    #[error("a grant of {asked} bytes is over the limit of {limit}")]
    GrantTooLarge {
        /// Bytes of the grant.
        asked: usize,
        /// Bytes that a grant may have.
        limit: usize,
    },
    /// The package is larger than allowed.
    #[error("the package is over the limit of {limit} bytes")]
    PackageTooLarge {
        /// Bytes that a package may have.
        limit: u64,
    },
    /// A session frame is empty or too long, or a body of frames is cut.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The body that the caller sends broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Why the rest of a body does not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It broke off; says why.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("the body stopped arriving")]
    Stalled,
}

impl From<std::io::Error> for BodyError {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::convert::Infallible> for BodyError {
    fn from(error: std::convert::Infallible) -> Self {
        match error {}
    }
}

impl ServiceError {
    /// The kind of problem.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::StartRequest(_) | Self::Order(_) => ErrorCode::InvalidRequest,
            Self::UnknownBackend(_) => ErrorCode::UnknownBackend,
            Self::BackendUnavailable(_) => ErrorCode::BackendUnavailable,
            Self::NetworkDenied => ErrorCode::NetworkDenied,
            Self::MemoryOverLimit { .. } => ErrorCode::MemoryOverLimit,
            Self::MemoryExhausted { .. } => ErrorCode::MemoryExhausted,
            Self::TooManyKeeps(_) => ErrorCode::TooManyKeeps,
            Self::LaunchFailed(_) => ErrorCode::LaunchFailed,
            Self::ShuttingDown => ErrorCode::ShuttingDown,
            Self::UnknownKeep(_) => ErrorCode::UnknownKeep,
            Self::WrongState { .. } => ErrorCode::WrongState,
            Self::KeepEnded(_) => ErrorCode::KeepEnded,
            Self::KeepFailed(_) => ErrorCode::KeepFailed,
            Self::GrantTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::PackageTooLarge { .. } => ErrorCode::PackageTooLarge,
            Self::Frame(_) => ErrorCode::MalformedFrames,
            Self::Body(BodyError::Broken(_)) => ErrorCode::InvalidRequest,
            Self::Body(BodyError::Stalled) => ErrorCode::RequestTimeout,
        }
    }

    /// What callers are told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let mut problem = Problem::new(self.code(), self.to_string());
        match self {
            Self::WrongState { state, .. } => problem.state = Some(*state),
            Self::KeepEnded(end) | Self::KeepFailed(end) => {
                problem.state = Some(KeepState::Ended);
                problem.end = Some(KeepEnd::clone(end));
            }
            _ => {}
        }
        problem
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        error.problem()
    }
}
