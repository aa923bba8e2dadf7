//! The stages of a deployment, shown as they happen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytesize::ByteSize;
use enarx_owner_appraisal::Level;
use enarx_owner_deployer::{Observer, Progress};
use enarx_wire_host_api::KeepId;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::{console::Console, progress};

/// How stages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StagesFormat {
    /// Progress bars only, and what was rejected.
    Brief,
    /// A line for each, and the whole verdict.
    Full,
    /// A line of JSON for each on standard output.
    Json,
}

/// Shows the stages, and remembers which Keep was started.
pub struct Stages {
    console: Console,
    format: StagesFormat,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keep: Option<KeepId>,
    bar: Option<ProgressBar>,
}

impl Stages {
    /// Stages that have not begun.
    pub fn new(console: Console, format: StagesFormat) -> Self {
        Self {
            console,
            format,
            state: Mutex::default(),
        }
    }

    /// The Keep that was started, if one was.
    pub fn keep(&self) -> Option<KeepId> {
        self.state().keep
    }

    /// Removes a progress bar that something else interrupted.
    pub fn clear(&self) {
        if let Some(bar) = self.state().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, progress: &Progress<'_>) {
        let console = &self.console;
        match progress {
            Progress::Started { keep } => {
                console.stage("Attest", format_args!("Keep {keep} started"));
            }
            // Why the Keep was rejected was said already.
            Progress::Appraised(verdict) if verdict.level() == Level::Rejected => {}
            Progress::Appraised(verdict) => console.stage("Verdict", verdict),
            Progress::Offered { .. } | Progress::Compiling | Progress::Uploaded { .. } => {}
            Progress::Compiled { cached, bytes, .. } => console.stage(
                "Package",
                format_args!(
                    "{}, {} of machine code",
                    if *cached {
                        "compiled before"
                    } else {
                        "compiled"
                    },
                    ByteSize(*bytes)
                ),
            ),
            Progress::Uploading { total } => console.stage(
                "Provision",
                format_args!(
                    "key sealed to the Keep; {} encrypted for it",
                    ByteSize(*total)
                ),
            ),
            Progress::Provisioned => console.stage("Running", "the Keep has its application"),
        }
    }

    fn draw(&self, progress: &Progress<'_>) {
        let console = &self.console;
        match progress {
            Progress::Compiling => self.state().bar = Some(progress::spinner(console, "Compiling")),
            Progress::Uploading { total } => {
                self.state().bar = Some(progress::bytes(console, "Encrypting", *total));
            }
            Progress::Uploaded { bytes } => {
                if let Some(bar) = &self.state().bar {
                    bar.set_position(*bytes);
                }
            }
            _ => {}
        }
    }
}

impl Observer for Stages {
    fn progress(&self, progress: &Progress<'_>) {
        if let Progress::Started { keep } = progress {
            self.state().keep = Some(*keep);
        }
        // A line must not be written into a bar.
        if !matches!(progress, Progress::Uploaded { .. }) {
            self.clear();
        }
        if let Progress::Compiled {
            warning: Some(warning),
            ..
        } = progress
        {
            self.console
                .note(format_args!("the cache of compiled programs: {warning}"));
        }
        if let Progress::Appraised(verdict) = progress
            && verdict.level() == Level::Rejected
        {
            self.console.insist("Verdict", verdict);
        }
        match self.format {
            StagesFormat::Brief => {}
            StagesFormat::Full => self.show(progress),
            StagesFormat::Json => {
                if let Some(event) = as_json(progress) {
                    // The program's own output will meet the same fate, and say so.
                    let _ = self.console.print_json_line(&event);
                }
            }
        }
        self.draw(progress);
    }
}

/// The event as it is written with `--json`; `None` for what is of no lasting interest.
fn as_json(progress: &Progress<'_>) -> Option<Value> {
    Some(match progress {
        Progress::Started { keep } => json!({ "event": "started", "keep": keep }),
        Progress::Appraised(verdict) => json!({ "event": "appraised", "verdict": verdict }),
        Progress::Compiled { cached, bytes, .. } => {
            json!({ "event": "compiled", "cached": cached, "bytes": bytes })
        }
        Progress::Uploading { total } => json!({ "event": "uploading", "bytes": total }),
        Progress::Provisioned => json!({ "event": "provisioned" }),
        Progress::Offered { .. } | Progress::Compiling | Progress::Uploaded { .. } => return None,
    })
}
