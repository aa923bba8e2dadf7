//! Whose each page is.

use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use enarx_wire_launch::PAGE_SIZE;

use crate::kvm::memory::Memory;

/// The states of all pages of a machine that can be private: SEV-SNP's reverse map table, or what TDX
/// keeps in its page tables.
///
/// A page that is not accepted has no access in this process, and so none in the machine: whoever
/// touches it there leaves the machine with an error.
#[derive(Default)]
pub(in crate::kvm) struct PageStates {
    ranges: Vec<Range>,
}

/// Pages that lie one behind the other, in the machine and here.
struct Range {
    first: u64,
    memory: Memory,
    states: Mutex<Vec<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The host's.
    Shared,
    /// The guest's, but not accepted.
    Private,
    /// Accepted.
    Accepted,
}

/// Why a page did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kvm) enum Refusal {
    /// There is none.
    Missing,
    /// It is not private.
    Shared,
    /// It is not accepted.
    Private,
    /// It is accepted already.
    Accepted,
}

impl PageStates {
    /// Adds memory that lies at the guest physical address `first`; of its pages, those at `loaded` are
    /// accepted, the others shared.
    pub(in crate::kvm) fn add(
        &mut self,
        first: u64,
        memory: Memory,
        loaded: impl IntoIterator<Item = u64>,
    ) -> std::io::Result<()> {
        let pages = memory.size() / PAGE;
        let mut states = vec![State::Shared; pages as usize];
        memory.permit(0, pages * PAGE, false)?;
        for address in loaded {
            if let Some(state) = address
                .checked_sub(first)
                .and_then(|offset| states.get_mut((offset / PAGE) as usize))
            {
                *state = State::Accepted;
                memory.permit(address - first, PAGE, true)?;
            }
        }
        self.ranges.push(Range {
            first,
            memory,
            states: Mutex::new(states),
        });
        Ok(())
    }

    /// Makes shared pages private.
    pub(in crate::kvm) fn make_private(&self, address: u64, pages: u64) -> Result<(), Refusal> {
        self.change(address, pages, |state| match state {
            State::Shared => Ok(State::Private),
            State::Private | State::Accepted => Err(Refusal::Accepted),
        })
        .map(drop)
    }

    /// Has accepted pages be private ones that are not accepted.
    pub(in crate::kvm) fn rescind(&self, address: u64, pages: u64) -> Result<(), Refusal> {
        let range = self.change(address, pages, |state| match state {
            State::Shared => Err(Refusal::Shared),
            State::Private => Err(Refusal::Private),
            State::Accepted => Ok(State::Private),
        })?;
        range.permit(address, pages, false)
    }

    /// Makes private pages shared that are not accepted. What is in them is gone, and this process has no memory
    /// for them any more.
    pub(in crate::kvm) fn make_shared(&self, address: u64, pages: u64) -> Result<(), Refusal> {
        let range = self.change(address, pages, |state| match state {
            State::Shared => Err(Refusal::Shared),
            State::Private => Ok(State::Shared),
            State::Accepted => Err(Refusal::Accepted),
        })?;
        let given = range.memory.give_back(address - range.first, pages * PAGE);
        given.map_err(|_| Refusal::Missing)
    }

    /// Accepts private pages.
    pub(in crate::kvm) fn accept(&self, address: u64, pages: u64) -> Result<(), Refusal> {
        let range = self.change(address, pages, |state| match state {
            State::Shared => Err(Refusal::Shared),
            State::Private => Ok(State::Accepted),
            State::Accepted => Err(Refusal::Accepted),
        })?;
        range.permit(address, pages, true)
    }

    /// Takes a private page away from the guest and gives another one in its place, which it has not
    /// accepted: what a hostile host can do on hardware at any time.
    #[cfg(test)]
    pub(in crate::kvm) fn take_away(&self, address: u64) {
        let Ok(range) = self.change(address, 1, |_| Ok(State::Private)) else {
            return;
        };
        range.permit(address, 1, false).unwrap();
    }

    /// Writes something to pages that the guest has not accepted.
    #[cfg(test)]
    pub(in crate::kvm) fn spoil(&self, address: u64, pages: u64) {
        let range = self.change(address, pages, |state| match state {
            State::Accepted => Err(Refusal::Accepted),
            state => Ok(state),
        });
        let range = range.unwrap();
        range.permit(address, pages, true).unwrap();
        let (offset, bytes) = (address - range.first, pages * PAGE);
        // SAFETY: within the memory, which is the host's for now, and has access by the lines above.
        unsafe {
            let start = range.memory.base().byte_add(offset as usize);
            start.write_bytes(0xA5, bytes as usize);
        }
        range.permit(address, pages, false).unwrap();
    }

    /// Reads what the guest has at a guest physical address, within one page.
    pub(in crate::kvm) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Refusal> {
        let from = self.accepted(address, bytes.len())?;
        // SAFETY: accepted memory, all of it, which has access and stays mapped; a guest that writes it
        // meanwhile gets what it deserves.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Writes there.
    pub(in crate::kvm) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let to = self.accepted(address, bytes.len())?;
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Where the bytes lie here, if they are accepted and within one page.
    fn accepted(&self, address: u64, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if address % PAGE + bytes as u64 > PAGE {
            return Err(Refusal::Missing);
        }
        let page = address / PAGE * PAGE;
        let range = self.change(page, 1, |state| match state {
            State::Shared => Err(Refusal::Shared),
            State::Private => Err(Refusal::Private),
            State::Accepted => Ok(State::Accepted),
        })?;
        let offset = (address - range.first) as usize;
        // SAFETY: within the memory, by the lines above.
        Ok(unsafe { range.memory.base().byte_add(offset) })
    }

    /// Changes all of the pages, or none.
    fn change(
        &self,
        address: u64,
        pages: u64,
        change: impl Fn(State) -> Result<State, Refusal>,
    ) -> Result<&Range, Refusal> {
        for range in &self.ranges {
            let mut states = range.states.lock().unwrap_or_else(PoisonError::into_inner);
            let found = address
                .checked_sub(range.first)
                .map(|offset| (offset / PAGE) as usize)
                .and_then(|at| states.get_mut(at..at.checked_add(pages as usize)?));
            let Some(found) = found else { continue };
            let changed: Vec<_> = found
                .iter()
                .map(|state| change(*state))
                .collect::<Result<_, _>>()?;
            found.copy_from_slice(&changed);
            drop(states);
            return Ok(range);
        }
        Err(Refusal::Missing)
    }
}

impl Range {
    /// Permits or forbids all access to pages of it.
    fn permit(&self, address: u64, pages: u64, access: bool) -> Result<(), Refusal> {
        let permitted = self
            .memory
            .permit(address - self.first, pages * PAGE, access);
        permitted.map_err(|_| Refusal::Missing)
    }
}

const PAGE: u64 = PAGE_SIZE as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_private_and_are_accepted_once() {
        let mut states = PageStates::default();
        let memory = Memory::new(8 * PAGE).unwrap();
        states.add(0x10_0000, memory, [0x10_1000]).unwrap();
        assert_eq!(states.accept(0x10_0000, 1), Err(Refusal::Shared));
        // Of pages one of which cannot change, none does.
        assert_eq!(states.make_private(0x10_0000, 2), Err(Refusal::Accepted));
        assert_eq!(states.accept(0x10_0000, 1), Err(Refusal::Shared));
        assert_eq!(states.make_private(0x10_2000, 4), Ok(()));
        assert_eq!(states.make_private(0x10_2000, 1), Err(Refusal::Accepted));
        assert_eq!(states.accept(0x10_2000, 2), Ok(()));
        assert_eq!(states.accept(0x10_3000, 2), Err(Refusal::Accepted));
        assert_eq!(states.accept(0x10_4000, 2), Ok(()));
        assert_eq!(states.accept(0x10_1000, 1), Err(Refusal::Accepted));
        for (address, pages) in [
            (0, 1),
            (0x10_7000, 2),
            (0x10_8000, 1),
            (0x10_0000, u64::MAX),
        ] {
            assert_eq!(states.accept(address, pages), Err(Refusal::Missing));
        }
    }

    #[test]
    fn pages_are_given_back_empty_and_accepted_again() {
        const FIRST: u64 = 0x10_0000;
        let mut states = PageStates::default();
        let memory = Memory::new(4 * PAGE).unwrap();
        states.add(FIRST, memory, []).unwrap();
        let mut read = [0; 1];
        for _ in 0..2 {
            assert_eq!(states.make_shared(FIRST, 1), Err(Refusal::Shared));
            assert_eq!(states.make_private(FIRST, 4), Ok(()));
            assert_eq!(states.rescind(FIRST, 1), Err(Refusal::Private));
            assert_eq!(states.accept(FIRST, 3), Ok(()));
            states.read(FIRST + PAGE, &mut read).unwrap();
            assert_eq!(read, [0]);
            states.write(FIRST + PAGE, &[7]).unwrap();
            // Not before the guest has given them up, all of them.
            assert_eq!(states.make_shared(FIRST, 2), Err(Refusal::Accepted));
            assert_eq!(states.rescind(FIRST, 4), Err(Refusal::Private));
            assert_eq!(states.rescind(FIRST, 3), Ok(()));
            let refused = states.read(FIRST + PAGE, &mut read);
            assert_eq!(refused, Err(Refusal::Private));
            assert_eq!(states.make_shared(FIRST, 4), Ok(()));
            let refused = states.read(FIRST + PAGE, &mut read);
            assert_eq!(refused, Err(Refusal::Shared));
            assert_eq!(states.accept(FIRST, 1), Err(Refusal::Shared));
        }
    }
}
