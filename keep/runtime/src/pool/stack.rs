//! Stacks.

use std::{ops::Range, sync::Arc};

use wasmtime::{Error, StackCreator, StackMemory};

use super::{Kept, Room, room::PAGE};

/// Makes stacks, in the rooms of those that are gone where there are any.
pub struct Stacks(pub(super) Arc<Kept>);

// SAFETY: each stack has a room of its own, whose first page can never be accessed.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>, Error> {
        let size = size.next_multiple_of(PAGE);
        let room = match self.0.stacks.take(|room| room.accessible() == size) {
            Some(mut room) => {
                // WebAssembly sees nothing of its stack that it has not written.
                if zeroed {
                    room.clear()?;
                }
                room
            }
            None => self.0.or_give_up(|| {
                let mut room = Room::new(PAGE, size, 0)?;
                room.resize(size)?;
                Ok(room)
            })?,
        };
        Ok(Box::new(Stack {
            room: Some(room),
            kept: Arc::clone(&self.0),
        }))
    }
}

/// One stack.
struct Stack {
    /// Taken by `drop` alone.
    room: Option<Room>,
    kept: Arc<Kept>,
}

impl Stack {
    fn room(&self) -> &Room {
        self.room
            .as_ref()
            .expect("it has a room until it is dropped")
    }
}

// SAFETY: the room is aligned to pages, lies still, and is this stack's own.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        // SAFETY: so many bytes behind the base are the room's.
        unsafe { self.room().base().add(self.room().accessible()) }
    }

    fn range(&self) -> Range<usize> {
        self.room().base().addr()..self.top().addr()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.room().start()..self.room().base()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            self.kept.stacks.give_back(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_in_the_same_place() {
        let stacks = Stacks(Arc::default());
        let first = stacks.new_stack(PAGE * 10, false).unwrap();
        let range = first.range();
        assert_eq!(range.len(), PAGE * 10);
        assert_eq!(first.guard_range().end.addr(), range.start);
        let other = stacks.new_stack(PAGE * 10, false).unwrap();
        assert_ne!(other.range(), range);
        drop(first);
        let second = stacks.new_stack(PAGE * 10, false).unwrap();
        assert_eq!(second.range(), range);
    }
}
