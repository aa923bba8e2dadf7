//! Sessions with Keeps that were deployed before.

use clap::Args;
use enarx_owner_deployer::{HttpHost, SessionRecord, SessionStore};

use crate::{arguments::HostAccessArguments, console::Console, directories};

/// The owner's sessions.
///
/// # Errors
///
/// When the user has no place for them.
pub fn store() -> anyhow::Result<SessionStore> {
    Ok(SessionStore::new(directories::state()?.join("sessions")))
}

/// A Keep that was deployed from here.
#[derive(Debug, Args)]
pub struct SessionArguments {
    /// The Keep: its identifier, or as much of it as is unique
    #[arg(value_name = "KEEP")]
    keep: String,

    /// The host's address, if it has another one than at deployment
    #[arg(long, value_name = "URL", help_heading = "Host")]
    host: Option<String>,

    #[command(flatten)]
    access: HostAccessArguments,
}

impl SessionArguments {
    /// The session and its host.
    ///
    /// # Errors
    ///
    /// When no such session is known here, or its host has no usable address.
    pub fn find(
        &self,
        console: &Console,
    ) -> anyhow::Result<(SessionStore, SessionRecord, HttpHost)> {
        let store = store()?;
        let record = store.find(&self.keep)?;
        let host = self
            .access
            .connect(self.host.as_deref().unwrap_or(&record.host), console)?;
        Ok((store, record, host))
    }
}
