//! `enarx ps`: which Keeps there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use enarx_owner_deployer::{HostConnection as _, HostError, SessionRecord};
use enarx_wire_host_api::{KeepId, KeepInfo};
use serde_json::json;

use super::{block_on, sessions};
use crate::{
    arguments::HostAccessArguments,
    console::{Console, Level, LogFormat, Table},
    exit::Status,
    failure::remedy,
};

/// List the Keeps that you deployed, or those of a host
///
/// Without --host, the sessions known here are listed, and their hosts are asked how they
/// are. The host's words about a Keep are not authenticated; what a program wrote and how
/// it ended is: see `enarx logs` and `enarx attach`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx ps
  enarx ps --host http://host:7363 --json")]
pub struct Arguments {
    /// List every Keep of this host instead
    #[arg(long, value_name = "URL", help_heading = "Host", conflicts_with_all = ["sessions", "forget_gone"])]
    host: Option<String>,

    #[command(flatten)]
    access: HostAccessArguments,

    /// List what is known here, and ask no host
    #[arg(long, conflicts_with = "forget_gone")]
    sessions: bool,

    /// Forget the sessions whose hosts say that they have no such Keep any more
    ///
    /// A session whose host cannot be reached stays, since its Keep may still run; `enarx
    /// stop --forget KEEP` forgets it nevertheless.
    #[arg(long)]
    forget_gone: bool,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Error, LogFormat::Text);
        match &self.host {
            Some(url) => self.list_host(console, url)?,
            None => self.list_sessions(console)?,
        }
        Ok(Status::SUCCESS)
    }

    fn list_host(&self, console: &Console, url: &str) -> anyhow::Result<()> {
        let host = self.access.connect(url, console)?;
        let keeps = block_on(async { Ok(host.list().await?) })?;
        if self.json {
            return Ok(console.print_json(&keeps)?);
        }
        let mut table = Table::new(["KEEP", "NAME", "BACKEND", "STATE", "STARTED"]);
        for keep in keeps {
            table.row([
                keep.id.to_string(),
                keep.name.clone().unwrap_or_default(),
                backend(&keep),
                state(&keep),
                keep.started_at,
            ]);
        }
        Ok(console.print_table(&table)?)
    }

    fn list_sessions(&self, console: &Console) -> anyhow::Result<()> {
        let store = sessions::store()?;
        let records = store.list()?;
        let answers = if self.sessions {
            BTreeMap::new()
        } else {
            block_on(async { Ok(self.ask(console, &records).await) })?
        };
        let mut shown = Vec::new();
        let mut table = Table::new(["KEEP", "NAME", "STATE", "DEPLOYED", "HOST"]);
        for record in &records {
            let answer = match answers.get(&record.host) {
                None => Answer::NotAsked,
                Some(Err(error)) => Answer::None(error),
                Some(Ok(keeps)) => match keeps.get(&record.keep) {
                    Some(keep) => Answer::Known(keep),
                    None => Answer::Gone,
                },
            };
            if self.forget_gone && matches!(answer, Answer::Gone) {
                store.remove(record.keep)?;
                console.note(format_args!("forgotten: {} {}", record.keep, record.name));
                continue;
            }
            table.row([
                record.keep.to_string(),
                record.name.clone(),
                answer.state(),
                time(record.deployed),
                record.host.clone(),
            ]);
            shown.push(json!({
                "keep": record.keep,
                "name": record.name,
                "host": record.host,
                "deployed_at": time(record.deployed),
                "simulated": record.simulated,
                "state": answer.state(),
                "reason": match answer {
                    Answer::None(error) => Some(error.to_string()),
                    _ => None,
                },
                "info": match answer {
                    Answer::Known(keep) => Some(keep),
                    _ => None,
                },
            }));
        }
        if self.json {
            return Ok(console.print_json(&shown)?);
        }
        console.print_table(&table)?;
        let errors = answers
            .iter()
            .filter_map(|(url, answer)| Some((url, answer.as_ref().err()?)));
        let (mut remedies, mut silent) = (BTreeSet::new(), false);
        for (url, error) in errors {
            console.warn(format_args!("{url}: {error}"));
            remedies.extend(remedy(error));
            silent |= !matches!(error, HostError::Refused(_));
        }
        for remedy in remedies {
            console.note(remedy);
        }
        if silent {
            console.note("`enarx stop --forget KEEP` forgets a session without its host");
        }
        Ok(())
    }

    /// Asks each host once for its Keeps.
    async fn ask(
        &self,
        console: &Console,
        records: &[SessionRecord],
    ) -> BTreeMap<String, Result<BTreeMap<KeepId, KeepInfo>, HostError>> {
        let mut urls: Vec<_> = records.iter().map(|record| record.host.clone()).collect();
        urls.sort();
        urls.dedup();
        let asked = urls.into_iter().map(|url| async move {
            let answer = match self.access.connect(&url, console) {
                Ok(host) => tokio::time::timeout(ANSWER_TIME, host.list())
                    .await
                    .unwrap_or_else(|_| Err(HostError::Unreachable("no answer".to_owned()))),
                Err(error) => Err(HostError::Unreachable(format!("{error:#}"))),
            };
            let keeps = answer.map(|keeps| keeps.into_iter().map(|keep| (keep.id, keep)).collect());
            (url, keeps)
        });
        futures_util::future::join_all(asked)
            .await
            .into_iter()
            .collect()
    }
}

/// How long a host may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What a host says of a Keep.
enum Answer<'a> {
    NotAsked,
    /// Nothing, for this reason.
    None(&'a HostError),
    Gone,
    Known(&'a KeepInfo),
}

impl Answer<'_> {
    /// In one word, or few; reasons are told beside the list.
    fn state(&self) -> String {
        match self {
            Self::NotAsked => "unknown".to_owned(),
            Self::None(HostError::Refused(_)) => "refused".to_owned(),
            Self::None(_) => "unreachable".to_owned(),
            Self::Gone => "gone".to_owned(),
            Self::Known(keep) => state(keep),
        }
    }
}

fn backend(keep: &KeepInfo) -> String {
    if keep.simulated {
        format!("{} (simulated)", keep.backend)
    } else {
        keep.backend.clone()
    }
}

fn state(keep: &KeepInfo) -> String {
    match &keep.end {
        Some(end) => format!("{}: {}", keep.state, end.kind),
        None => keep.state.to_string(),
    }
}

fn time(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.map_or_else(
        || "unknown".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}
