//! Memories and stacks of instances that have ended, for those that begin.
//!
//! A component that handles requests has an instance for each, and address space costs more to
//! make and to give back than most requests take otherwise.

mod memory;
mod room;
mod stack;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use enarx_wire_target::{Calls, CompileTarget, MemoryStrategy};
use wasmtime::{Config, Engine};

use memory::Memories;
use room::Room;
use stack::Stacks;

use crate::code;

/// An engine that loads code for `target` and with these `calls`, and whose instances leave their
/// memories and stacks to the next ones. `None` where memories have no address space that is
/// reserved for them.
pub fn engine(target: &CompileTarget, calls: Calls) -> Option<Engine> {
    if target.memory() != MemoryStrategy::GuardPages {
        return None;
    }
    let mut config = target.engine_config(calls).ok()?;
    code::run_in_place(&mut config);
    let kept = Arc::new(Kept::default());
    config
        .with_host_memory(Arc::new(Memories {
            kept: Arc::clone(&kept),
            large_pages: false,
        }))
        .with_host_stack(Arc::new(Stacks(kept)));
    Engine::new(&config).ok()
}

/// Has a program that is one instance, for which `config` is that of `target`, start in large
/// pages where they can be had.
pub fn start_in_large_pages(config: &mut Config, target: &CompileTarget) {
    if target.memory() == MemoryStrategy::GuardPages {
        config.with_host_memory(Arc::new(Memories {
            kept: Arc::default(),
            large_pages: true,
        }));
    }
}

/// What is kept for the next ones.
#[derive(Default)]
struct Kept {
    memories: Free,
    stacks: Free,
}

impl Kept {
    /// What `make` gives. Where there is no space for it, what is kept is given up first: it is
    /// there for those who need it.
    fn or_give_up<T>(&self, mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        make().or_else(|_| {
            self.memories.give_up();
            self.stacks.give_up();
            make()
        })
    }
}

/// Rooms that nobody uses.
#[derive(Default)]
struct Free(Mutex<Vec<Room>>);

/// The most of them.
const MOST: usize = 16;

impl Free {
    /// The last one that was given back, if it `fits`.
    fn take(&self, fits: impl Fn(&Room) -> bool) -> Option<Room> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.pop_if(|room| fits(room))
    }

    fn give_back(&self, room: Room) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < MOST {
            rooms.push(room);
        }
    }

    fn give_up(&self) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{room::PAGE, *};

    #[test]
    fn what_is_kept_is_given_up_for_those_who_need_space() {
        let kept = Kept::default();
        let free = [&kept.memories, &kept.stacks];
        for free in free {
            free.give_back(Room::new(PAGE, PAGE, PAGE).unwrap());
        }
        let left = || free.map(|free| free.0.lock().unwrap().len());
        assert_eq!(kept.or_give_up(|| Ok(left())).unwrap(), [1, 1]);
        let needy = || match left() {
            [0, 0] => Ok(()),
            _ => Err(io::ErrorKind::OutOfMemory.into()),
        };
        kept.or_give_up(needy).unwrap();
    }
}
