//! What a host allows.

use std::time::Duration;

use enarx_wire_host_api::HostLimits;

/// What a host allows its callers and its Keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Keeps that may live at the same time.
    pub keeps: usize,
    /// Memory of one Keep in bytes.
    pub memory_bytes_per_keep: u64,
    /// Memory of all living Keeps in bytes.
    pub memory_bytes_total: u64,
    /// Ciphertext of one package in bytes.
    pub package_bytes: u64,
    /// How long a Keep waits for its owner's next step before it runs: the grant,
    /// the package, or the package's next bytes.
    pub idle_time: Option<Duration>,
    /// How long a Keep may take to answer its challenge or its grant.
    pub answer_time: Duration,
    /// Output that is held for each Keep in bytes. When it is full, the oldest
    /// frames are dropped, unless somebody is reading them.
    pub output_bytes: usize,
    /// How long a reader may leave a full output unread before it is cut off. It
    /// holds the Keep back for that long.
    pub reader_time: Option<Duration>,
    /// How long an ended Keep and its output stay readable.
    pub retention_time: Duration,
    /// Ended Keeps that stay readable; the oldest goes first.
    pub ended_keeps: usize,
    /// Whether Keeps may use the host's network.
    pub network: bool,
}

impl Default for Limits {
    /// What a host serves with when its operator says nothing: 64 Keeps of 4 GiB
    /// and together 16 GiB, packages of 8 GiB, 10 minutes for each of an owner's
    /// steps, 4 MiB of output each, ended Keeps for an hour, and no network.
    fn default() -> Self {
        Self {
            keeps: 64,
            memory_bytes_per_keep: 4 << 30,
            memory_bytes_total: 16 << 30,
            package_bytes: 8 << 30,
            idle_time: Some(Duration::from_secs(600)),
            answer_time: Duration::from_secs(30),
            output_bytes: 4 << 20,
            reader_time: Some(Duration::from_secs(30)),
            retention_time: Duration::from_secs(3600),
            ended_keeps: 64,
            network: false,
        }
    }
}

impl Limits {
    /// For a host that is embedded in its only owner's process: nothing is
    /// limited but the time that a Keep may take to answer, and a slow reader
    /// holds the Keep back as a pipe would. The owner is the operator, and lets a Keep
    /// use the network that asks for it.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            keeps: usize::MAX,
            memory_bytes_per_keep: u64::MAX,
            memory_bytes_total: u64::MAX,
            package_bytes: u64::MAX,
            idle_time: None,
            reader_time: None,
            network: true,
            ..Self::default()
        }
    }

    /// What callers are told.
    #[must_use]
    pub fn to_host_limits(&self) -> HostLimits {
        let limited = |limit: u64| (limit != u64::MAX).then_some(limit);
        HostLimits {
            keeps: limited(self.keeps as u64),
            memory_bytes_per_keep: limited(self.memory_bytes_per_keep),
            memory_bytes_total: limited(self.memory_bytes_total),
            package_bytes: limited(self.package_bytes),
            idle_seconds: self.idle_time.map(|time| time.as_secs()),
            network: self.network,
        }
    }
}
