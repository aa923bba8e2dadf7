//! Memories and stacks of instances that have ended, for those that begin.
//!
//! A component that handles requests has an instance for each, and address space costs more to
//! make and to give back than most requests take otherwise.

mod memory;
mod room;
mod stack;

use std::sync::{Arc, Mutex, PoisonError};

use enarx_wire_target::{CompileTarget, MemoryStrategy};
use wasmtime::Engine;

use memory::Memories;
use room::Room;
use stack::Stacks;

/// An engine that loads the same code as that of `target`, and whose instances leave their
/// memories and stacks to the next ones. `None` where memories have no address space that is
/// reserved for them.
pub fn engine(target: &CompileTarget) -> Option<Engine> {
    if target.memory() != MemoryStrategy::GuardPages {
        return None;
    }
    let mut config = target.engine_config().ok()?;
    config
        .with_host_memory(Arc::new(Memories::default()))
        .with_host_stack(Arc::new(Stacks::default()));
    Engine::new(&config).ok()
}

/// Rooms that nobody uses.
#[derive(Default)]
struct Free(Mutex<Vec<Room>>);

/// The most of them: what is kept for the next ones is not there for anybody else.
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
}
