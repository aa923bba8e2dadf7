//! Memory that a guest shares with its host, as those see it who serve a TEE's protocol in it.

use std::ptr::NonNull;

use enarx_wire_launch::vm::layout;

use super::memory::Memory;

/// The machine's shared memory, from [`layout::BOOT_PAGE`] on.
pub(super) struct SharedMemory {
    base: NonNull<u8>,
    size: u64,
}

// SAFETY: memory that is shared by its nature; all access is by volatile words.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// That of `memory`, which has to be there for as long.
    pub(super) fn new(memory: &Memory) -> Self {
        Self {
            base: memory.base(),
            size: memory.size(),
        }
    }

    /// The word at a guest physical address.
    pub(super) fn read(&self, address: u64) -> Result<u64, String> {
        // SAFETY: within the memory, aligned, which `word` has made sure of.
        Ok(unsafe { self.word(address)?.read_volatile() })
    }

    /// Writes the word at a guest physical address.
    pub(super) fn write(&self, address: u64, value: u64) -> Result<(), String> {
        // SAFETY: as in `read`; the guest expects the host to write there.
        unsafe { self.word(address)?.write_volatile(value) };
        Ok(())
    }

    fn word(&self, address: u64) -> Result<NonNull<u64>, String> {
        let offset = address
            .checked_sub(layout::BOOT_PAGE)
            .filter(|offset| offset.is_multiple_of(8) && *offset < self.size)
            .ok_or_else(|| format!("about {address:#x}, where nothing is shared"))?;
        // SAFETY: within the memory, by the lines above.
        Ok(unsafe { self.base.byte_add(offset as usize) }.cast())
    }
}
