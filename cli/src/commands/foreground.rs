//! A deployment that this process stays with until the program has ended.

use std::sync::Arc;

use enarx_owner_deployer::{HostConnection, SessionRecord, SessionStore, application::Application};

use crate::{
    console::Console,
    deployment::{Deployed, KeepArguments, Stages, deploy, now},
    exit::Status,
    relay::{Interrupts, Relay, Sink},
};

/// What is to be deployed where, and how it is shown.
pub struct Job<'a> {
    pub console: &'a Console,
    pub host: &'a dyn HostConnection,
    pub keep: &'a KeepArguments,
    pub application: Arc<Application>,
    pub stages: Arc<Stages>,
    pub sink: Sink,
    /// Where the session is recorded, with the host's address, for other commands.
    pub store: Option<(SessionStore, String)>,
}

impl Job<'_> {
    /// Deploys, and relays until the program has ended.
    ///
    /// # Errors
    ///
    /// Whatever stood in the way.
    pub async fn run(self) -> anyhow::Result<Status> {
        let Some(deployed) = self.deploy().await? else {
            return Ok(Status::INTERRUPTED);
        };
        let epoch = self.first_epoch(&deployed)?;
        let relay = Relay {
            console: self.console,
            host: self.host,
            session: &deployed.session,
            epoch,
            from: 0,
            stdin: true,
            sink: self.sink.clone(),
        };
        match relay.run().await {
            Ok(ending) => Ok(Status(ending.status)),
            Err(error) => {
                // Nobody is left to whom the program could answer.
                self.abandon().await;
                Err(error)
            }
        }
    }

    /// Deploys and records the session; `None` when the user interrupted it.
    ///
    /// # Errors
    ///
    /// Whatever stood in the way.
    pub async fn deploy(&self) -> anyhow::Result<Option<Deployed>> {
        let mut interrupts = Interrupts::new()?;
        let deployment = deploy(
            self.console,
            self.host,
            self.keep,
            self.application.clone(),
            self.stages.clone(),
        );
        let deployed = tokio::select! {
            deployed = deployment => deployed,
            () = interrupts.next() => {
                self.abandon().await;
                return Ok(None);
            }
        };
        self.stages.clear();
        let deployed = deployed?;
        if let Some((store, host)) = &self.store {
            let record = SessionRecord::new(
                &deployed.session,
                host.clone(),
                self.application.name.clone(),
                now().0,
                deployed.simulated,
            );
            if let Err(error) = store.save(&record) {
                // Without its record nobody could reach the program any more.
                self.abandon().await;
                return Err(error.into());
            }
        }
        Ok(Some(deployed))
    }

    /// The number of the first attachment.
    fn first_epoch(&self, deployed: &Deployed) -> anyhow::Result<u64> {
        match &self.store {
            Some((store, _)) => Ok(store.next_epoch(deployed.session.keep())?),
            None => Ok(1),
        }
    }

    /// Ends the Keep that was started, if one was.
    async fn abandon(&self) {
        self.stages.clear();
        if let Some(keep) = self.stages.keep() {
            match self.host.stop(keep).await {
                Ok(_) => self
                    .console
                    .note(format_args!("the Keep {keep} was stopped")),
                Err(error) => self.console.warn(format_args!(
                    "the host did not end the Keep {keep}: {error}"
                )),
            }
        }
    }
}
