//! Linear memories.

use std::sync::Arc;

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Result};

use super::{Kept, Room};

/// Makes memories, in the rooms of those that are gone where there are any.
pub struct Memories(pub(super) Arc<Kept>);

/// The largest memory whose room is kept, in bytes. Making a larger one takes little of the time
/// that it takes to fill it.
const LARGEST_KEPT: usize = 4 << 20;

// SAFETY: each memory has a room of its own: with as much inaccessible space behind it as it was
// asked for, and in front of it too. All of a room that can be accessed is zeros when it is handed
// out, since `Memory` clears it before it gives it back.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _kind: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> std::result::Result<Box<dyn LinearMemory>, String> {
        let capacity = reserved.unwrap_or_default().max(minimum);
        let capacity = capacity
            .checked_next_multiple_of(super::room::PAGE)
            .ok_or("there is no memory of such a size")?;
        let fits = |room: &Room| room.capacity() == capacity && room.front() == guard;
        let room = self.0.or_give_up(|| {
            let kept = self.0.memories.take(fits);
            let mut room = kept.map_or_else(|| Room::new(guard, capacity, guard), Ok)?;
            room.resize(minimum)?;
            Ok(room)
        });
        Ok(Box::new(Memory {
            room: Some(room.map_err(|error| error.to_string())?),
            size: minimum,
            kept: Arc::clone(&self.0),
        }))
    }
}

/// One memory.
struct Memory {
    /// Taken by `drop` alone.
    room: Option<Room>,
    size: usize,
    kept: Arc<Kept>,
}

impl Memory {
    fn room(&self) -> &Room {
        self.room
            .as_ref()
            .expect("it has a room until it is dropped")
    }
}

// SAFETY: the room is aligned to pages, lies still, and is this memory's own.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.room().capacity()
    }

    fn grow_to(&mut self, size: usize) -> Result<()> {
        if let Some(room) = &mut self.room {
            self.kept.or_give_up(|| room.resize(size))?;
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.room().base()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(mut room) = self.room.take()
            && room.accessible() <= LARGEST_KEPT
            && room.clear().is_ok()
        {
            self.kept.memories.give_back(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVED: usize = 1 << 30;
    const GUARD: usize = 1 << 20;
    const PAGE: usize = 64 << 10;

    fn memory(memories: &Memories, minimum: usize) -> Box<dyn LinearMemory> {
        let kind = MemoryType::new(1, None);
        (memories.new_memory(kind, minimum, None, Some(RESERVED), GUARD)).unwrap()
    }

    fn bytes(memory: &mut Box<dyn LinearMemory>) -> &mut [u8] {
        // SAFETY: so many bytes are accessible, and the memory is borrowed as the only one.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    #[test]
    fn the_next_one_finds_zeros_in_the_same_place() {
        let memories = Memories(Arc::default());
        let mut first = memory(&memories, PAGE);
        first.grow_to(3 * PAGE).unwrap();
        bytes(&mut first).fill(7);
        let place = first.as_ptr();
        drop(first);
        let mut second = memory(&memories, PAGE);
        assert_eq!((second.as_ptr(), second.byte_size()), (place, PAGE));
        second.grow_to(3 * PAGE).unwrap();
        assert!(bytes(&mut second).iter().all(|byte| *byte == 0));
        // Who comes while it is used has another.
        assert_ne!(memory(&memories, PAGE).as_ptr(), place);
        assert!(second.grow_to(RESERVED + PAGE).is_err());
    }

    #[test]
    fn large_ones_are_given_back() {
        let memories = Memories(Arc::default());
        let mut large = memory(&memories, LARGEST_KEPT + PAGE);
        bytes(&mut large)[0] = 7;
        drop(large);
        assert!(memories.0.memories.take(|_| true).is_none());
    }
}
