//! What is in a regular file.

use alloc::collections::{BTreeMap, btree_map::Entry};
use alloc::vec::Vec;

use crate::Error;

/// How much memory is left for files.
#[derive(Debug)]
pub(super) struct Budget {
    pub limit: u64,
    used: u64,
    heap_has_room: fn() -> bool,
}

impl Budget {
    /// Of `limit` bytes, as long as the heap has room for them.
    pub fn new(limit: u64, heap_has_room: fn() -> bool) -> Self {
        Self {
            limit,
            used: 0,
            heap_has_room,
        }
    }

    pub fn left(&self) -> u64 {
        self.limit - self.used
    }

    pub fn take(&mut self, bytes: u64) -> Result<(), Error> {
        if bytes > self.left() || !(self.heap_has_room)() {
            return Err(Error::ENOSPC);
        }
        self.used += bytes;
        Ok(())
    }

    pub fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// Contents are kept in chunks of this many bytes.
const CHUNK: usize = 4096;

/// What each takes of the budget: with what the heap adds, and its place among the others.
const CHUNK_COST: u64 = CHUNK as u64 + 128;

/// What holes are read from.
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// The bytes of a file, with holes where none were written.
#[derive(Debug, Default)]
pub(super) struct Content {
    size: u64,

    /// By where they start in the file, divided by [`CHUNK`]. All bytes behind `size` are zero.
    chunks: BTreeMap<u64, Vec<u8>>,
}

impl Content {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory that it takes.
    pub fn stored(&self) -> u64 {
        (self.chunks.len() * CHUNK) as u64
    }

    /// What it takes of the budget.
    pub fn cost(&self) -> u64 {
        self.chunks.len() as u64 * CHUNK_COST
    }

    /// Some bytes at `offset`: at most `limit`, and none at the end.
    pub fn piece(&self, offset: u64, limit: u64) -> &[u8] {
        let (index, within) = place(offset);
        let chunk = self.chunks.get(&index).map_or(&ZEROS[..], Vec::as_slice);
        let count = self.size.saturating_sub(offset).min(limit);
        &chunk[within..][..count.min((CHUNK - within) as u64) as usize]
    }

    /// Lets some bytes at `offset`, at most `limit`, be overwritten; answers how many.
    ///
    /// Where that fails, bytes that were there may be changed, but the size is not.
    pub fn overwrite(
        &mut self,
        offset: u64,
        limit: u64,
        budget: &mut Budget,
        fill: impl FnOnce(&mut [u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let (index, within) = place(offset);
        let count = limit.min((CHUNK - within) as u64);
        let chunk = match self.chunks.entry(index) {
            Entry::Occupied(chunk) => chunk.into_mut(),
            Entry::Vacant(place) => place.insert(new_chunk(budget)?),
        };
        let bytes = &mut chunk[within..][..count as usize];
        if let Err(error) = fill(bytes) {
            let kept = self.size.saturating_sub(offset).min(count);
            bytes[kept as usize..].fill(0);
            return Err(error);
        }
        self.size = self.size.max(offset + count);
        Ok(count)
    }

    /// Makes it shorter, or longer by a hole.
    pub fn resize(&mut self, size: u64, budget: &mut Budget) {
        if size < self.size {
            let (index, within) = place(size);
            let mut rest = self.chunks.split_off(&index);
            if within != 0
                && let Some(mut last) = rest.remove(&index)
            {
                last[within..].fill(0);
                self.chunks.insert(index, last);
            }
            budget.give_back(rest.len() as u64 * CHUNK_COST);
        }
        self.size = size;
    }
}

/// In which chunk an offset lies, and where in it.
const fn place(offset: u64) -> (u64, usize) {
    (offset / CHUNK as u64, offset as usize % CHUNK)
}

fn new_chunk(budget: &mut Budget) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(CHUNK).map_err(|_| Error::ENOSPC)?;
    budget.take(CHUNK_COST)?;
    bytes.resize(CHUNK, 0);
    Ok(bytes)
}

#[cfg(test)]
mod test {
    use super::*;

    fn write(content: &mut Content, offset: u64, bytes: &[u8], budget: &mut Budget) {
        let mut done = 0;
        while done < bytes.len() {
            let left = (bytes.len() - done) as u64;
            let count = content.overwrite(offset + done as u64, left, budget, |piece| {
                piece.copy_from_slice(&bytes[done..done + piece.len()]);
                Ok(())
            });
            done += count.unwrap() as usize;
        }
    }

    fn all(content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match content.piece(bytes.len() as u64, u64::MAX) {
                [] => return bytes,
                piece => bytes.extend_from_slice(piece),
            }
        }
    }

    #[test]
    fn what_was_never_written_is_zero_and_takes_no_memory() {
        const FAR: u64 = 10 * CHUNK as u64 + 5;
        let mut budget = Budget::new(1 << 20, || true);
        let mut content = Content::default();
        write(&mut content, FAR, b"far", &mut budget);
        assert_eq!(content.stored(), CHUNK as u64);
        let bytes = all(&content);
        assert_eq!(bytes.len() as u64, FAR + 3);
        assert!(bytes[..bytes.len() - 3].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn shortened_and_longer_again_is_zero_where_it_was_cut() {
        let mut budget = Budget::new(1 << 20, || true);
        let mut content = Content::default();
        write(&mut content, 0, &[7; 100_000], &mut budget);
        content.resize(10, &mut budget);
        content.resize(100_000, &mut budget);
        let bytes = all(&content);
        assert_eq!(bytes[..10], [7; 10]);
        assert!(bytes[10..].iter().all(|byte| *byte == 0));
        content.resize(0, &mut budget);
        assert_eq!((content.stored(), budget.left()), (0, 1 << 20));
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind_the_end() {
        let mut budget = Budget::new(1 << 20, || true);
        let mut content = Content::default();
        write(&mut content, 0, b"abc", &mut budget);
        let failed = content.overwrite(1, 50, &mut budget, |bytes| {
            bytes.fill(9);
            Err(Error::EFAULT)
        });
        assert_eq!(failed, Err(Error::EFAULT));
        assert_eq!(content.size(), 3);
        content.resize(51, &mut budget);
        assert!(all(&content)[3..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn memory_is_taken_within_the_budget_only() {
        const LENGTH: u64 = CHUNK as u64;
        let mut budget = Budget::new(2 * CHUNK_COST, || true);
        let mut content = Content::default();
        write(&mut content, LENGTH - 1, b"ab", &mut budget);
        assert_eq!((content.size(), budget.left()), (LENGTH + 1, 0));
        let full = content.overwrite(5 * LENGTH, 1, &mut budget, |_| Ok(()));
        assert_eq!(full, Err(Error::ENOSPC));
        let mut without_heap = Budget::new(1 << 20, || false);
        let full = content.overwrite(5 * LENGTH, 1, &mut without_heap, |_| Ok(()));
        assert_eq!(full, Err(Error::ENOSPC));
    }
}
