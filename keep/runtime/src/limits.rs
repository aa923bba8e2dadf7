//! The limit of memory.

use std::fmt;

use wasmtime::ResourceLimiter;

/// Counts the linear memories of a program and denies growth over a limit.
///
/// Denial is what the program expects of `memory.grow`: it gets -1 and may go on.
pub struct MemoryLimit {
    limit: u64,
    used: u64,
    /// The last growth that was allowed; taken back if it failed for another reason.
    pending: u64,
    denied: Option<Denied>,
}

/// The first growth that was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    wanted: u64,
    limit: u64,
}

impl fmt::Display for Denied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "over its limit of memory: it asked for {} bytes, {} are allowed",
            self.wanted, self.limit
        )
    }
}

impl MemoryLimit {
    /// A limit of `limit` bytes for all linear memories together.
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            pending: 0,
            denied: None,
        }
    }

    /// The first growth that was denied, if one was.
    pub const fn denied(&self) -> Option<Denied> {
        self.denied
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let wanted = self.used.saturating_add(growth);
        if wanted > self.limit {
            let limit = self.limit;
            self.denied.get_or_insert(Denied { wanted, limit });
            self.pending = 0;
            return Ok(false);
        }
        self.used = wanted;
        self.pending = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // Also called after a denial, which counted nothing.
        self.used -= std::mem::take(&mut self.pending);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// Elements that one table may have: 128 MiB of pointers.
const MAX_TABLE_ELEMENTS: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.memory_growing(0, 40, None).unwrap());
        assert_eq!(limit.denied(), None);
        assert!(!limit.memory_growing(60, 61, None).unwrap());
        let denied = limit.denied().unwrap();
        assert_eq!((denied.wanted, denied.limit), (101, 100));
    }

    #[test]
    fn failed_growth_is_taken_back() {
        let mut limit = MemoryLimit::new(100);
        assert!(limit.memory_growing(0, 100, None).unwrap());
        limit
            .memory_grow_failed(wasmtime::format_err!("no"))
            .unwrap();
        assert!(limit.memory_growing(0, 90, None).unwrap());
        assert!(!limit.memory_growing(90, 190, None).unwrap());
        let before = limit.used;
        limit
            .memory_grow_failed(wasmtime::format_err!("no"))
            .unwrap();
        assert_eq!(limit.used, before);
    }
}
