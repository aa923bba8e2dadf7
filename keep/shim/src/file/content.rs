//! What is in a regular file.

use alloc::vec::Vec;

use crate::Error;

/// How much memory is left for files.
#[derive(Debug)]
pub(super) struct Budget {
    pub limit: u64,
    used: u64,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    pub fn left(&self) -> u64 {
        self.limit - self.used
    }

    pub fn take(&mut self, bytes: u64) -> Result<(), Error> {
        if bytes > self.left() {
            return Err(Error::ENOSPC);
        }
        self.used += bytes;
        Ok(())
    }

    pub fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// Contents are kept in chunks of up to this many bytes, so that growth copies little.
const CHUNK: u64 = 64 * 1024;

/// The shortest chunk; longer ones are powers of two.
const SHORTEST_CHUNK: u64 = 256;

/// What holes are read from.
static ZEROS: [u8; 4096] = [0; 4096];

/// The bytes of a file, with holes where none were written.
#[derive(Debug, Default)]
pub(super) struct Content {
    size: u64,

    /// In order. A chunk's bytes behind its own length are zero, and so are all behind `size`.
    chunks: Vec<Chunk>,

    /// The sum of the chunks' lengths.
    stored: u64,
}

#[derive(Debug)]
struct Chunk {
    /// Where it starts in the file, divided by [`CHUNK`].
    index: u64,
    bytes: Vec<u8>,
}

impl Content {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory that it takes.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Some bytes at `offset`: at most `limit`, and none at the end.
    pub fn piece(&self, offset: u64, limit: u64) -> &[u8] {
        let count = self.size.saturating_sub(offset).min(limit);
        let within = offset % CHUNK;
        let stored = self
            .position(offset / CHUNK)
            .ok()
            .and_then(|position| self.chunks.get(position))
            .and_then(|chunk| chunk.bytes.get(within as usize..))
            .filter(|stored| !stored.is_empty());
        let available = stored.unwrap_or(&ZEROS[..(CHUNK - within).min(4096) as usize]);
        &available[..count.min(available.len() as u64) as usize]
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
        let within = offset % CHUNK;
        let count = limit.min(CHUNK - within);
        let size = self.size;
        let chunk = self.chunk(offset / CHUNK, within + count, budget)?;
        let bytes = &mut chunk[within as usize..(within + count) as usize];
        if let Err(error) = fill(bytes) {
            let kept = size.saturating_sub(offset).min(count);
            bytes[kept as usize..].fill(0);
            return Err(error);
        }
        self.size = size.max(offset + count);
        Ok(count)
    }

    /// Makes it shorter, or longer by a hole.
    pub fn resize(&mut self, size: u64, budget: &mut Budget) {
        if size < self.size {
            let first_gone = size.div_ceil(CHUNK);
            let kept = self
                .chunks
                .partition_point(|chunk| chunk.index < first_gone);
            let gone = self.chunks.drain(kept..);
            let freed = gone.map(|chunk| chunk.bytes.len() as u64).sum();
            self.stored -= freed;
            budget.give_back(freed);
            if let Some(last) = self.chunks.last_mut()
                && last.index == size / CHUNK
                && let Some(rest) = last.bytes.get_mut((size % CHUNK) as usize..)
            {
                rest.fill(0);
            }
        }
        self.size = size;
    }

    /// A chunk, at least `length` bytes of it.
    fn chunk(&mut self, index: u64, length: u64, budget: &mut Budget) -> Result<&mut [u8], Error> {
        let position = match self.position(index) {
            Ok(position) => position,
            Err(position) => {
                self.chunks.try_reserve(1).map_err(|_| Error::ENOSPC)?;
                let mut bytes = Vec::new();
                self.stored += lengthen(&mut bytes, length, budget)?;
                self.chunks.insert(position, Chunk { index, bytes });
                position
            }
        };
        let bytes = &mut self.chunks[position].bytes;
        self.stored += lengthen(bytes, length, budget)?;
        Ok(bytes)
    }

    /// Where a chunk is in `chunks`, or would have to be.
    fn position(&self, index: u64) -> Result<usize, usize> {
        self.chunks
            .binary_search_by_key(&index, |chunk| chunk.index)
    }
}

/// Makes a chunk's bytes at least `length`; answers how many were added.
fn lengthen(bytes: &mut Vec<u8>, length: u64, budget: &mut Budget) -> Result<u64, Error> {
    let missing = rounded(length).saturating_sub(bytes.len() as u64);
    budget.take(missing)?;
    if bytes.try_reserve_exact(missing as usize).is_err() {
        budget.give_back(missing);
        return Err(Error::ENOSPC);
    }
    bytes.resize(bytes.len() + missing as usize, 0);
    Ok(missing)
}

/// The length of a chunk that has `length` bytes.
fn rounded(length: u64) -> u64 {
    length.next_power_of_two().max(SHORTEST_CHUNK)
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
        let mut budget = Budget::new(1 << 20);
        let mut content = Content::default();
        write(&mut content, 10 * CHUNK + 5, b"far", &mut budget);
        assert_eq!(content.stored(), SHORTEST_CHUNK);
        let bytes = all(&content);
        assert_eq!(bytes.len() as u64, 10 * CHUNK + 8);
        assert!(bytes[..bytes.len() - 3].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn shortened_and_longer_again_is_zero_where_it_was_cut() {
        let mut budget = Budget::new(1 << 20);
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
        let mut budget = Budget::new(1 << 20);
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
        let mut budget = Budget::new(CHUNK + SHORTEST_CHUNK);
        let mut content = Content::default();
        write(&mut content, CHUNK - 1, b"ab", &mut budget);
        assert_eq!((content.size(), budget.left()), (CHUNK + 1, 0));
        let full = content.overwrite(5 * CHUNK, 1, &mut budget, |_| Ok(()));
        assert_eq!(full, Err(Error::ENOSPC));
    }
}
