//! Every operation of the interface.
//!
//! The host's router and the OpenAPI description are both made from
//! [`Operation::ALL`], so neither can have a path that the other lacks.

use crate::{
    ErrorCode, KeepId, MEDIA_TYPE_FRAMES, MEDIA_TYPE_GRANT, MEDIA_TYPE_JSON, MEDIA_TYPE_PACKAGE,
};

/// An HTTP method that the interface uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; changes nothing.
    Get,
    /// Does something, each time that it is sent.
    Post,
    /// Stores something.
    Put,
    /// Ends something; again has no more effect.
    Delete,
}

impl Method {
    /// The method as it is written in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One thing that a host can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// What the host is: [`crate::HostInfo`].
    Host,
    /// Starts a Keep: [`crate::StartRequest`] gives [`crate::StartedKeep`].
    Start,
    /// Every Keep: [`crate::KeepList`].
    List,
    /// One Keep: [`crate::KeepInfo`].
    Inspect,
    /// Ends a Keep at once, unless it has ended: [`crate::KeepInfo`]. Its output
    /// stays readable for a while.
    Stop,
    /// Waits for the Keep's claims and evidence: [`crate::OfferResponse`].
    Offer,
    /// Relays the sealed grant and waits until the Keep has opened it.
    Provision,
    /// Relays the package's ciphertext.
    Package,
    /// Streams the Keep's session frames.
    Output,
    /// Relays session frames to the Keep.
    Input,
    /// Says that the host lives.
    Health,
    /// Figures for Prometheus.
    Metrics,
    /// The OpenAPI description of all this.
    Description,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 13] = [
        Self::Host,
        Self::Start,
        Self::List,
        Self::Inspect,
        Self::Stop,
        Self::Offer,
        Self::Provision,
        Self::Package,
        Self::Output,
        Self::Input,
        Self::Health,
        Self::Metrics,
        Self::Description,
    ];

    /// Its method.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Start | Self::Provision | Self::Input => Method::Post,
            Self::Package => Method::Put,
            Self::Stop => Method::Delete,
            _ => Method::Get,
        }
    }

    /// Its path, with `{id}` where the Keep's identifier goes.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Host => "/v1/host",
            Self::Start | Self::List => "/v1/keeps",
            Self::Inspect | Self::Stop => "/v1/keeps/{id}",
            Self::Offer => "/v1/keeps/{id}/offer",
            Self::Provision => "/v1/keeps/{id}/provision",
            Self::Package => "/v1/keeps/{id}/package",
            Self::Output => "/v1/keeps/{id}/output",
            Self::Input => "/v1/keeps/{id}/input",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Description => "/openapi.json",
        }
    }

    /// Its path for one Keep; the same as [`Self::path`] for operations that
    /// concern none.
    #[must_use]
    pub fn path_for(self, keep: KeepId) -> String {
        self.path().replace("{id}", &keep.to_string())
    }

    /// Whether it concerns one Keep.
    #[must_use]
    pub fn concerns_keep(self) -> bool {
        self.path().contains("{id}")
    }

    /// Whether a host that has an access token asks for it here.
    #[must_use]
    pub const fn needs_token(self) -> bool {
        !matches!(self, Self::Health)
    }

    /// The media type of its request body, if it has one.
    #[must_use]
    pub const fn request_media_type(self) -> Option<&'static str> {
        match self {
            Self::Start => Some(MEDIA_TYPE_JSON),
            Self::Provision => Some(MEDIA_TYPE_GRANT),
            Self::Package => Some(MEDIA_TYPE_PACKAGE),
            Self::Input => Some(MEDIA_TYPE_FRAMES),
            _ => None,
        }
    }

    /// The media type of its answer, if that has a body.
    #[must_use]
    pub const fn response_media_type(self) -> Option<&'static str> {
        match self {
            Self::Provision | Self::Package | Self::Input => None,
            Self::Output => Some(MEDIA_TYPE_FRAMES),
            Self::Health => Some("text/plain; charset=utf-8"),
            Self::Metrics => Some("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            _ => Some(MEDIA_TYPE_JSON),
        }
    }

    /// The HTTP status code of success.
    #[must_use]
    pub const fn success_status(self) -> u16 {
        match self {
            Self::Start => 201,
            Self::Provision | Self::Package | Self::Input => 204,
            _ => 200,
        }
    }

    /// One sentence for people.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Host => "What this host is, its backends and its limits",
            Self::Start => "Start a Keep and send it the owner's nonce",
            Self::List => "The living Keeps and those that ended lately",
            Self::Inspect => "What the host knows of one Keep",
            Self::Stop => "End a Keep at once",
            Self::Offer => "Wait for the Keep's claims and evidence",
            Self::Provision => "Relay the sealed grant; answered when the Keep has opened it",
            Self::Package => {
                "Relay the package; a Keep takes one upload, and ends if it breaks off"
            }
            Self::Output => "Stream the Keep's encrypted session frames",
            Self::Input => "Relay encrypted session frames to the Keep",
            Self::Health => "Whether the host lives",
            Self::Metrics => "Figures for Prometheus",
            Self::Description => "This description",
        }
    }

    /// The refusals that are the operation's own, beside those that any request
    /// can meet (`unauthorized`, `invalid-request`, `internal`, ...).
    #[must_use]
    pub const fn refusals(self) -> &'static [ErrorCode] {
        use ErrorCode::*;
        match self {
            Self::Host | Self::List | Self::Health | Self::Metrics | Self::Description => &[],
            Self::Start => &[
                BodyTooLarge,
                UnsupportedMediaType,
                NetworkDenied,
                UnknownBackend,
                BackendUnavailable,
                MemoryOverLimit,
                LaunchFailed,
                TooManyKeeps,
                MemoryExhausted,
                ShuttingDown,
            ],
            Self::Inspect | Self::Stop | Self::Output => &[UnknownKeep],
            Self::Offer => &[UnknownKeep, KeepEnded, KeepFailed],
            Self::Provision => &[
                UnknownKeep,
                WrongState,
                KeepEnded,
                BodyTooLarge,
                UnsupportedMediaType,
                KeepFailed,
            ],
            Self::Package => &[
                UnknownKeep,
                RequestTimeout,
                WrongState,
                KeepEnded,
                PackageTooLarge,
                UnsupportedMediaType,
                KeepFailed,
            ],
            Self::Input => &[
                MalformedFrames,
                UnknownKeep,
                RequestTimeout,
                WrongState,
                KeepEnded,
                UnsupportedMediaType,
                KeepFailed,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_operations_share_method_and_path() {
        let unique: std::collections::HashSet<_> = Operation::ALL
            .iter()
            .map(|operation| (operation.method(), operation.path()))
            .collect();
        assert_eq!(unique.len(), Operation::ALL.len());
    }

    #[test]
    fn paths_name_the_keep() {
        let id = KeepId::from_bytes([0x0f; 16]);
        assert_eq!(
            Operation::Output.path_for(id),
            format!("/v1/keeps/{}/output", "0f".repeat(16))
        );
        assert_eq!(Operation::List.path_for(id), "/v1/keeps");
    }
}
