//! What a program may have of memory, tables, instances and output.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use enarx_wire_package::Limits;
use wasmtime::ResourceLimiter;

/// What all stores of a program together may have.
pub struct Quotas {
    memory: Quota,
    tables: Quota,
    instances: usize,
}

/// An amount, shared by stores.
struct Quota {
    what: What,
    limit: u64,
    used: AtomicU64,
}

/// What there is a quota of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Memory,
    Tables,
}

/// A growth that was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    what: What,
    wanted: u64,
    limit: u64,
}

impl fmt::Display for Denied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            wanted,
            limit,
        } = self;
        match what {
            What::Memory => write!(
                formatter,
                "over its limit of memory: it asked for {wanted} bytes, {limit} are allowed"
            ),
            What::Tables => write!(
                formatter,
                "over its limit of tables: it asked for {wanted} elements, {limit} are allowed"
            ),
        }
    }
}

impl Quotas {
    /// The quotas of a manifest, in a Keep that has `memory_bytes`.
    pub fn new(limits: &Limits, memory_bytes: u64) -> Self {
        let quota = |what, limit| Quota {
            what,
            limit,
            used: AtomicU64::new(0),
        };
        Self {
            // The Keep's own memory is a limit too: a program learns from a failed
            // allocation what would otherwise end the Keep.
            memory: quota(
                What::Memory,
                limits.memory_bytes.unwrap_or(u64::MAX).min(memory_bytes),
            ),
            tables: quota(
                What::Tables,
                limits.table_elements.unwrap_or(MAX_TABLE_ELEMENTS),
            ),
            instances: limits.instances.map_or(DEFAULT_INSTANCES, |instances| {
                usize::try_from(instances).unwrap_or(usize::MAX)
            }),
        }
    }
}

impl Quota {
    fn take(&self, amount: u64) -> Result<(), Denied> {
        let take = |used: u64| used.checked_add(amount).filter(|used| *used <= self.limit);
        match (self.used).fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(used) => Err(Denied {
                what: self.what,
                wanted: used.saturating_add(amount),
                limit: self.limit,
            }),
        }
    }

    fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// Elements that all tables may have by default: 128 MiB of pointers.
const MAX_TABLE_ELEMENTS: u64 = 16 << 20;

/// Instances of core modules by default, as wasmtime has it.
const DEFAULT_INSTANCES: usize = 10_000;

/// Counts what one store has, and denies growth over a quota.
///
/// Denial is what the program expects of `memory.grow` and `table.grow`: it gets -1 and may
/// go on. What the store has is given back with it.
pub struct Limiter {
    quotas: Arc<Quotas>,
    memory: Share,
    tables: Share,
    denied: Option<Denied>,
}

/// What a store has of a quota.
#[derive(Default)]
struct Share {
    used: u64,
    /// The last growth that was allowed; taken back if it failed for another reason.
    pending: u64,
}

impl Limiter {
    /// A store that has nothing yet.
    pub fn new(quotas: Arc<Quotas>) -> Self {
        Self {
            quotas,
            memory: Share::default(),
            tables: Share::default(),
            denied: None,
        }
    }

    /// The first growth that was denied, if one was.
    pub const fn denied(&self) -> Option<Denied> {
        self.denied
    }
}

impl Share {
    /// Takes what is missing from `current` to `desired`; gives whether it was there.
    fn grow(
        &mut self,
        quota: &Quota,
        current: usize,
        desired: usize,
        denied: &mut Option<Denied>,
    ) -> bool {
        let growth = desired.saturating_sub(current) as u64;
        self.pending = 0;
        match quota.take(growth) {
            Ok(()) => {
                self.used += growth;
                self.pending = growth;
                true
            }
            Err(error) => {
                denied.get_or_insert(error);
                false
            }
        }
    }

    /// The last growth failed. Also called after a denial, which took nothing.
    fn failed(&mut self, quota: &Quota) {
        let pending = std::mem::take(&mut self.pending);
        self.used -= pending;
        quota.give_back(pending);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let quota = &self.quotas.memory;
        Ok((self.memory).grow(quota, current, desired, &mut self.denied))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.failed(&self.quotas.memory);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let quota = &self.quotas.tables;
        Ok((self.tables).grow(quota, current, desired, &mut self.denied))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.failed(&self.quotas.tables);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.quotas.instances
    }
}

/// Whether instantiation failed because of [`Limiter::instances`], which wasmtime says in words
/// alone.
pub fn is_about_instances(error: &wasmtime::Error) -> bool {
    let cause = error.root_cause().to_string();
    cause.starts_with("resource limit exceeded: instance")
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.quotas.memory.give_back(self.memory.used);
        self.quotas.tables.give_back(self.tables.used);
    }
}

/// Counts the bytes that a program writes over time.
pub struct OutputMeter {
    /// Bytes a second.
    rate: u64,
    state: Mutex<Budget>,
}

struct Budget {
    bytes: u64,
    since: Instant,
}

/// What a program may make up for: as many seconds' output at once.
const BURST_SECONDS: u64 = 10;

impl OutputMeter {
    /// A meter that allows `rate` bytes a second.
    pub fn new(rate: u64) -> Self {
        Self {
            rate,
            state: Mutex::new(Budget {
                bytes: rate.saturating_mul(BURST_SECONDS),
                since: Instant::now(),
            }),
        }
    }

    /// Counts `bytes`; gives whether they are within the limit.
    pub fn count(&self, bytes: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.since.elapsed();
        state.count(bytes as u64, self.rate, elapsed)
    }
}

impl Budget {
    /// Counts `bytes` when `elapsed` has passed since the budget was last added to.
    fn count(&mut self, bytes: u64, rate: u64, elapsed: Duration) -> bool {
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let earned = rate.saturating_mul(milliseconds) / 1000;
        if earned > 0 {
            let most = rate.saturating_mul(BURST_SECONDS);
            self.bytes = self.bytes.saturating_add(earned).min(most);
            self.since += Duration::from_millis(milliseconds);
        }
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(memory: u64) -> Arc<Quotas> {
        let limits = Limits {
            table_elements: Some(10),
            instances: Some(3),
            ..Limits::default()
        };
        Arc::new(Quotas::new(&limits, memory))
    }

    #[test]
    fn memories_are_counted_together() {
        let mut limit = Limiter::new(quotas(100));
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(0, 40, None).unwrap());
        assert_eq!(limit.denied(), None);
        assert!(!limit.memory_growing(60, 61, None).unwrap());
        let denied = limit.denied().unwrap();
        assert_eq!((denied.wanted, denied.limit), (101, 100));
        assert_eq!(limit.instances(), 3);
    }

    #[test]
    fn stores_share_and_give_back() {
        let quotas = quotas(100);
        let mut first = Limiter::new(Arc::clone(&quotas));
        let mut second = Limiter::new(quotas);
        assert!(first.memory_growing(0, 80, None).unwrap());
        assert!(!second.memory_growing(0, 30, None).unwrap());
        drop(first);
        assert!(second.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn failed_growth_is_taken_back() {
        let mut limit = Limiter::new(quotas(100));
        let failed = || wasmtime::format_err!("no");
        assert!(limit.memory_growing(0, 100, None).unwrap());
        limit.memory_grow_failed(failed()).unwrap();
        assert!(limit.memory_growing(0, 90, None).unwrap());
        assert!(!limit.memory_growing(90, 190, None).unwrap());
        let before = limit.memory.used;
        limit.memory_grow_failed(failed()).unwrap();
        assert_eq!(limit.memory.used, before);
    }

    #[test]
    fn tables_are_counted_on_their_own() {
        let mut limit = Limiter::new(quotas(100));
        assert!(limit.table_growing(0, 10, None).unwrap());
        assert!(!limit.table_growing(0, 1, None).unwrap());
        let denied = limit.denied().unwrap().to_string();
        assert!(denied.contains("11 elements, 10 are allowed"), "{denied}");
    }

    #[test]
    fn output_may_come_in_bursts_but_not_for_long() {
        let mut budget = Budget {
            bytes: 100 * BURST_SECONDS,
            since: Instant::now(),
        };
        assert!(budget.count(1000, 100, Duration::ZERO));
        assert!(!budget.count(1, 100, Duration::from_millis(9)));
        assert!(budget.count(50, 100, Duration::from_millis(500)));
        assert!(!budget.count(1001, 100, Duration::from_secs(3600)));
        assert!(budget.count(1000, 100, Duration::ZERO));
    }
}
