//! Every Keep of a service, and what the living ones take up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use enarx_wire_host_api::{KeepId, KeepState};

use crate::{Limits, ServiceError, keep::Keep};

/// The living Keeps, and the ended ones that stay readable.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    keeps: HashMap<KeepId, Arc<Keep>>,
    /// Keeps that live or are about to.
    living: usize,
    memory_bytes: u64,
    closed: bool,
    next_number: u64,
}

/// A living Keep's share of what the host has; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    registry: Arc<Registry>,
    memory_bytes: u64,
    /// Counts the Keeps of this service.
    pub(crate) number: u64,
}

impl Registry {
    /// Sets aside what a Keep with this much memory takes up.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        memory_bytes: u64,
        limits: &Limits,
    ) -> Result<Share, ServiceError> {
        let mut entries = self.lock();
        if entries.closed {
            return Err(ServiceError::ShuttingDown);
        }
        if memory_bytes > limits.memory_bytes_per_keep {
            return Err(ServiceError::MemoryOverLimit {
                asked: memory_bytes,
                limit: limits.memory_bytes_per_keep,
            });
        }
        if entries.living >= limits.keeps {
            return Err(ServiceError::TooManyKeeps(limits.keeps));
        }
        let left = limits
            .memory_bytes_total
            .saturating_sub(entries.memory_bytes);
        if memory_bytes > left {
            return Err(ServiceError::MemoryExhausted {
                asked: memory_bytes,
                left,
            });
        }
        entries.living += 1;
        entries.memory_bytes += memory_bytes;
        entries.next_number += 1;
        Ok(Share {
            registry: self.clone(),
            memory_bytes,
            number: entries.next_number,
        })
    }

    /// Makes a Keep known.
    ///
    /// # Errors
    ///
    /// [`ServiceError::ShuttingDown`] after [`Self::close`].
    pub(crate) fn insert(&self, keep: Arc<Keep>) -> Result<(), ServiceError> {
        let mut entries = self.lock();
        if entries.closed {
            return Err(ServiceError::ShuttingDown);
        }
        entries.keeps.insert(keep.id, keep);
        Ok(())
    }

    /// Lets no more Keeps in.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// The Keep of this identifier.
    pub(crate) fn get(&self, id: KeepId) -> Result<Arc<Keep>, ServiceError> {
        let found = self.lock().keeps.get(&id).cloned();
        found.ok_or(ServiceError::UnknownKeep(id))
    }

    /// Every Keep, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Keep>> {
        let mut keeps: Vec<_> = self.lock().keeps.values().cloned().collect();
        keeps.sort_unstable_by_key(|keep| keep.number);
        keeps
    }

    /// Memory of the living Keeps in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.lock().memory_bytes
    }

    /// Forgets a Keep.
    pub(crate) fn remove(&self, id: KeepId) {
        self.lock().keeps.remove(&id);
    }

    /// Forgets the oldest ended Keeps over `limit`.
    pub(crate) fn forget_ended_over(&self, limit: usize) {
        let mut ended = self.all();
        ended.retain(|keep| keep.state() == KeepState::Ended);
        for keep in &ended[..ended.len().saturating_sub(limit)] {
            self.remove(keep.id);
            keep.forgotten.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics while it holds this lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut entries = self.registry.lock();
        entries.living -= 1;
        entries.memory_bytes -= self.memory_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_limited_and_given_back() {
        let limits = Limits {
            keeps: 2,
            memory_bytes_per_keep: 60,
            memory_bytes_total: 100,
            ..Limits::default()
        };
        let registry = Arc::new(Registry::default());
        let reserve = |bytes| registry.reserve(bytes, &limits);
        assert!(matches!(
            reserve(61),
            Err(ServiceError::MemoryOverLimit {
                asked: 61,
                limit: 60
            })
        ));
        let first = reserve(60).unwrap();
        assert!(matches!(
            reserve(60),
            Err(ServiceError::MemoryExhausted {
                asked: 60,
                left: 40
            })
        ));
        let second = reserve(40).unwrap();
        assert!(matches!(reserve(0), Err(ServiceError::TooManyKeeps(2))));
        drop(first);
        let third = reserve(60).unwrap();
        assert_eq!((second.number, third.number), (2, 3));
        drop((second, third));
        assert_eq!(registry.memory_bytes(), 0);
        registry.close();
        assert!(matches!(reserve(1), Err(ServiceError::ShuttingDown)));
    }
}
