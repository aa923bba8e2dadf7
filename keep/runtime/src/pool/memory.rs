//! Linear memories.

use std::{ptr, sync::Arc};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Result};

use super::{Kept, Room, room::PAGE};

/// Makes memories, in the rooms of those that are gone where there are any.
pub struct Memories {
    pub(super) kept: Arc<Kept>,
    /// Whether what is large from the beginning is made of large pages.
    pub(super) large_pages: bool,
}

/// A memory of so many bytes or more is large: most of it is the program's data then, which is
/// copied there in less time than small pages take to be made.
const LARGE: usize = 4 << 20;

/// Bytes by which a memory can grow in the place to which it had to move.
const ROOM_TO_GROW: usize = 2 << 30;

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
            .checked_next_multiple_of(PAGE)
            .ok_or("there is no memory of such a size")?;
        let fits = |room: &Room| room.capacity() == capacity && room.front() == guard;
        let room = self.kept.or_give_up(|| {
            let kept = self.kept.memories.take(fits);
            let mut room = kept.map_or_else(|| Room::new(guard, capacity, guard), Ok)?;
            room.resize(minimum)?;
            Ok(room)
        });
        let room = room.map_err(|error| error.to_string())?;
        if self.large_pages && minimum >= LARGE {
            room.prefer_large_pages();
        }
        Ok(Box::new(Memory {
            room: Some(room),
            size: minimum,
            kept: Arc::clone(&self.kept),
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

    /// A room with what is in this memory's, and for `size` bytes.
    fn larger_room(&self, size: usize) -> std::io::Result<Room> {
        let old = self.room();
        let capacity = size
            .checked_add(ROOM_TO_GROW)
            .and_then(|capacity| capacity.checked_next_multiple_of(PAGE))
            .ok_or(std::io::ErrorKind::OutOfMemory)?;
        // What was in front of it was behind it too.
        let mut new = Room::new(old.front(), capacity, old.front())?;
        new.resize(size)?;
        // SAFETY: so many bytes are accessible in both, which are not the same.
        unsafe { ptr::copy_nonoverlapping(old.base(), new.base(), old.accessible()) };
        Ok(new)
    }
}

// SAFETY: the room is aligned to pages, lies still up to its capacity, and is this memory's own.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.room().capacity()
    }

    fn grow_to(&mut self, size: usize) -> Result<()> {
        // Only memories of 64 bits come here with more, and wasmtime lets them move.
        if size > self.byte_capacity() {
            self.room = Some(self.kept.or_give_up(|| self.larger_room(size))?);
        } else if let Some(room) = &mut self.room {
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

    fn memories() -> Memories {
        Memories {
            kept: Arc::default(),
            large_pages: true,
        }
    }

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
        let memories = memories();
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
        assert!(second.grow_to(usize::MAX).is_err());
    }

    #[test]
    fn large_ones_are_given_back() {
        let memories = memories();
        let mut large = memory(&memories, LARGEST_KEPT + PAGE);
        bytes(&mut large)[0] = 7;
        drop(large);
        assert!(memories.kept.memories.take(|_| true).is_none());
    }

    #[test]
    fn large_ones_are_zeros_on_large_pages_too() {
        let memories = memories();
        let mut large = memory(&memories, LARGE + PAGE);
        assert!(bytes(&mut large).iter().all(|byte| *byte == 0));
        bytes(&mut large).fill(7);
        large.grow_to(2 * LARGE).unwrap();
        let (old, new) = bytes(&mut large).split_at(LARGE + PAGE);
        assert!(old.iter().all(|byte| *byte == 7) && new.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_outgrows_its_room_moves_with_what_is_in_it() {
        let memories = memories();
        let mut memory = memory(&memories, PAGE);
        bytes(&mut memory).fill(7);
        let place = memory.as_ptr();
        memory.grow_to(RESERVED + PAGE).unwrap();
        assert_ne!(memory.as_ptr(), place);
        assert_eq!(memory.byte_size(), RESERVED + PAGE);
        assert!(memory.byte_capacity() >= RESERVED + PAGE + ROOM_TO_GROW);
        let (old, new) = bytes(&mut memory).split_at(PAGE);
        assert!(old.iter().all(|byte| *byte == 7));
        assert_eq!((new[0], new[RESERVED / 2], new[RESERVED - 1]), (0, 0, 0));
    }
}
