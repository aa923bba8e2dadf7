//! Reports of a confidential VM, as Linux gives them from 6.7 on: `configfs-tsm` (kernel
//! documentation, `Documentation/ABI/testing/configfs-tsm-report`).
//!
//! A directory is made for each report. What is asked is written into its attributes, and
//! the report is read from them. The kernel counts the writes, so that a reader knows whether
//! the report is what it has asked for or what somebody else has meanwhile.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use enarx_wire_hostcall::attestation::{MAX_ANSWER, REPORT_DATA_SIZE};

/// Where reports of a confidential VM are made.
#[derive(Debug, Clone)]
pub struct TsmReports {
    directory: PathBuf,
}

/// A report with what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsmReport {
    /// Who made it.
    pub provider: TsmProvider,
    /// The report itself, in the provider's format: `outblob`.
    pub evidence: Vec<u8>,
    /// What the VM's host has added for its verification: `auxblob`. Empty if there is nothing.
    pub auxiliary: Vec<u8>,
}

/// Who makes reports: the driver of the guest's TEE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsmProvider {
    /// `sev_guest`: reports of AMD SEV-SNP, with the host's certificate table.
    SevGuest,
    /// `tdx_guest`: quotes of Intel TDX.
    TdxGuest,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum TsmError {
    /// The kernel has no such interface, or it is not mounted.
    #[error(
        "{} is not there: this machine is no confidential VM, or its kernel is older than Linux 6.7, or configfs is not mounted (`mount -t configfs none /sys/kernel/config`)",
        .0.display()
    )]
    Absent(PathBuf),
    /// No driver of a TEE is loaded.
    #[error(
        "no guest driver makes reports: load the one of this VM's TEE (`modprobe sev-guest` or `modprobe tdx-guest`)"
    )]
    NoProvider,
    /// The user may not have reports made.
    #[error("the user may not make reports below {}: run the host as root of the VM", .0.display())]
    Forbidden(PathBuf),
    /// Another TEE's driver makes the reports.
    #[error("reports by `{0}` are not known to this version; it knows sev_guest and tdx_guest")]
    UnknownProvider(String),
    /// The kernel failed.
    #[error("the kernel's `{attribute}` of a report failed: {source}; its log may say why")]
    Attribute {
        /// The attribute.
        attribute: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What the kernel says makes no sense.
    #[error("the kernel's `{0}` of a report is not as documented")]
    Malformed(&'static str),
    /// A report is larger than any that can be passed on.
    #[error("the kernel's `{0}` of a report is larger than {MAX_ANSWER} bytes")]
    TooLarge(&'static str),
    /// Somebody else wrote to the report's attributes each time.
    #[error("somebody else keeps changing reports below {}", .0.display())]
    Contended(PathBuf),
}

impl TsmReports {
    /// Where Linux has the interface.
    pub const DIRECTORY: &str = "/sys/kernel/config/tsm/report";

    /// Those of the confidential VM that this machine is, if it is one.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::below(Path::new(Self::DIRECTORY))
    }

    /// Those of an interface that is elsewhere.
    #[must_use]
    pub fn below(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Who makes reports here.
    ///
    /// # Errors
    ///
    /// [`TsmError`] when nobody does.
    pub fn provider(&self) -> Result<TsmProvider, TsmError> {
        Entry::new(&self.directory)?.provider()
    }

    /// Has a report made that holds `report_data`. Takes milliseconds, or as long as the VM's
    /// host pleases.
    ///
    /// # Errors
    ///
    /// [`TsmError`]. Nothing is left behind.
    pub fn report(&self, report_data: &[u8; REPORT_DATA_SIZE]) -> Result<TsmReport, TsmError> {
        let entry = Entry::new(&self.directory)?;
        for attempt in 0..ATTEMPTS {
            if 0 < attempt {
                thread::sleep(PAUSE * attempt);
            }
            match entry.report(report_data) {
                Ok(Some(report)) => return Ok(report),
                Ok(None) => {}
                Err(TsmError::Attribute { source, .. })
                    if is_passing(&source) && attempt + 1 < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Err(TsmError::Contended(self.directory.clone()))
    }
}

/// How often a report is tried for.
const ATTEMPTS: u32 = 5;

/// How long to wait before the second attempt; before the third twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether another attempt may succeed where one has failed so.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::ResourceBusy
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
    )
}

/// The directory of one report, removed when dropped.
struct Entry {
    path: PathBuf,
}

impl Entry {
    /// Makes one with a name that nobody else has.
    fn new(directory: &Path) -> Result<Self, TsmError> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| TsmError::Attribute {
            attribute: "name",
            source: io::Error::other("the system gave no random bytes"),
        })?;
        let path = directory.join(format!("enarx-{}", hex::encode(random)));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(error) => Err(match error.kind() {
                ErrorKind::NotFound => TsmError::Absent(directory.to_owned()),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    TsmError::Forbidden(directory.to_owned())
                }
                _ if error.raw_os_error() == Some(libc::ENXIO) => TsmError::NoProvider,
                _ => TsmError::Attribute {
                    attribute: "directory",
                    source: error,
                },
            }),
        }
    }

    /// One attempt; `None` when somebody else wrote meanwhile.
    fn report(&self, report_data: &[u8]) -> Result<Option<TsmReport>, TsmError> {
        let before = self.generation()?;
        let mut writes = 0;
        // The least privileged level that may still ask: that of the kernel itself, which
        // is not the highest where something else runs beneath it.
        if let Some(floor) = self.read_optional("privlevel_floor")? {
            self.write("privlevel", &floor)?;
            writes += 1;
        }
        self.write("inblob", report_data)?;
        writes += 1;
        let report = TsmReport {
            evidence: self.read("outblob")?,
            auxiliary: self.read_optional("auxblob")?.unwrap_or_default(),
            provider: self.provider()?,
        };
        if report.evidence.is_empty() {
            return Err(TsmError::Malformed("outblob"));
        }
        let unchanged = before.checked_add(writes) == Some(self.generation()?);
        Ok(unchanged.then_some(report))
    }

    fn provider(&self) -> Result<TsmProvider, TsmError> {
        let name = self.text("provider")?;
        match &*name {
            "sev_guest" => Ok(TsmProvider::SevGuest),
            "tdx_guest" => Ok(TsmProvider::TdxGuest),
            _ => Err(TsmError::UnknownProvider(name.chars().take(64).collect())),
        }
    }

    fn generation(&self) -> Result<u64, TsmError> {
        let text = self.text("generation")?;
        text.parse().map_err(|_| TsmError::Malformed("generation"))
    }

    fn text(&self, attribute: &'static str) -> Result<String, TsmError> {
        let text = String::from_utf8(self.read(attribute)?);
        let text = text.map_err(|_| TsmError::Malformed(attribute))?;
        Ok(text.trim_end_matches('\n').to_owned())
    }

    fn read(&self, attribute: &'static str) -> Result<Vec<u8>, TsmError> {
        let found = self.read_optional(attribute)?;
        found.ok_or_else(|| TsmError::Attribute {
            attribute,
            source: ErrorKind::NotFound.into(),
        })
    }

    /// An attribute that not every provider has.
    fn read_optional(&self, attribute: &'static str) -> Result<Option<Vec<u8>>, TsmError> {
        let failed = |source| TsmError::Attribute { attribute, source };
        let file = match OpenOptions::new()
            .read(true)
            .open(self.path.join(attribute))
        {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut contents = Vec::new();
        let most = MAX_ANSWER as u64 + 1;
        file.take(most).read_to_end(&mut contents).map_err(failed)?;
        if contents.len() > MAX_ANSWER {
            return Err(TsmError::TooLarge(attribute));
        }
        Ok(Some(contents))
    }

    /// Writes an attribute. The kernel takes a binary one over when it is closed, and cannot say
    /// then that it did not: the count of writes does.
    fn write(&self, attribute: &'static str, contents: &[u8]) -> Result<(), TsmError> {
        let path = self.path.join(attribute);
        let written = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(contents));
        written.map_err(|source| TsmError::Attribute { attribute, source })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a report's directory stays");
        }
    }
}
