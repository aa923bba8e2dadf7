//! The runtime's address space.

mod access;
mod space;

pub use access::Access;
pub use space::{AddressSpace, Bounds, Fault};

use alloc::vec::Vec;
use core::ops::Range;

/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// The TEE's pages, as whoever owns an [`AddressSpace`] changes them.
///
/// Ranges are whole pages of the address space. Whatever goes wrong here is the host's doing,
/// or means that the host has no more memory: the Keep does not go on then, and so there are
/// no errors.
pub trait Pages {
    /// Makes pages exist, zeroed, that can be read and written.
    fn add(&self, range: Range<u64>);

    /// Gives pages back: they exist no more, and nothing can be done with them until they are
    /// added again.
    fn remove(&self, range: Range<u64>);

    /// Leaves less access to pages that exist.
    fn restrict(&self, range: Range<u64>, access: Access);

    /// Gives more access to pages that exist.
    fn extend(&self, range: Range<u64>, access: Access);

    /// Pages in `range` that were removed and that other threads may still reach where they were.
    fn remembered(&self, _range: &Range<u64>) -> Vec<Range<u64>> {
        Vec::new()
    }

    /// Zeroes pages that can be written.
    fn zero(&self, range: Range<u64>);

    /// Promises that the pages in `range` can be added, and `bytes` of pages in all, beside those that were
    /// there from the start; gives whether there is memory for that. What is promised with it is in the
    /// place of what was promised before.
    fn promise(&self, _range: Range<u64>, _bytes: u64) -> bool {
        true
    }
}
