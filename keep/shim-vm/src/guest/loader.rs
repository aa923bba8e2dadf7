//! The runtime: copied, hashed, and only then made into pages that can run.

use core::{ptr, slice};

use enarx_keep_shim::{
    Hashing, Stop,
    memory::{Access, AddressSpace, PAGE, Pages as _},
};
use enarx_wire_launch::vm::{FilePlace, GuestInfo, GuestSegment, layout};

use super::{frames, paging, platform::Machine, stop, tables::LARGE_PAGE};

pub static HASHING: Hashing = Hashing::new();

/// Loads the runtime that `info` describes, and registers its pages with `space`.
///
/// Its bytes are copied from shared memory once, unless the host says that they are where the copy would be;
/// what is hashed and what runs is what lies in private memory.
pub fn load(info: &GuestInfo, lies: FilePlace, space: &mut AddressSpace) {
    let size = info.file_size;
    if size == 0 || size > layout::RUNTIME_FILE_END - layout::RUNTIME_FILE {
        stop(Stop::Launch);
    }
    let room = size.next_multiple_of(LARGE_PAGE);
    let Some(frame) = frames::take(room, LARGE_PAGE) else {
        stop(Stop::Memory)
    };
    let copy = paging::own(frame);
    for offset in (LARGE_PAGE..room).step_by(LARGE_PAGE as usize) {
        paging::own(frame + offset);
    }
    if lies == FilePlace::Shared {
        copy_in(copy, size);
    }
    // SAFETY: the copy, which nobody writes any more.
    let file = unsafe { slice::from_raw_parts(copy as *const u8, size as usize) };
    if HASHING.digest(&Machine, [file]) != info.runtime_digest {
        stop(Stop::Runtime);
    }
    let mut mapped = 0;
    for segment in info.segments() {
        place(segment, file, &mut mapped, frame, space);
    }
}

/// Copies the runtime's file, in whole words, from where the host has put it.
fn copy_in(to: u64, bytes: u64) {
    let (from, to) = (layout::RUNTIME_FILE as *const u64, to as *mut u64);
    for word in 0..bytes.div_ceil(8) as usize {
        // SAFETY: within the room for the file, which is mapped where it lies, and within what
        // was mapped for the copy, which has whole pages. The host may write the source at any
        // time, and so it is read as memory that does so, once.
        unsafe { to.add(word).write(from.add(word).read_volatile()) };
    }
}

/// Maps a segment of the verified file, which lies in memory from `frame` on and of which what comes before
/// `mapped` is mapped.
///
/// What the program can write gets memory of its own; the rest is the file itself. A page in which the segment
/// before ends is that one's: the program has no memory at two addresses, at one of which it could make
/// writable what it runs at the other.
fn place(
    segment: &GuestSegment,
    file: &[u8],
    mapped: &mut u64,
    frame: u64,
    space: &mut AddressSpace,
) {
    let access = Access::from_protection(segment.access).unwrap_or_else(|_| stop(Stop::Launch));
    let first = segment.address / PAGE * PAGE;
    let end = segment
        .address
        .checked_add(segment.memory_size)
        .and_then(|end| end.checked_next_multiple_of(PAGE))
        .filter(|end| first >= layout::RUNTIME && *end <= layout::RUNTIME_END);
    let bytes = usize::try_from(segment.file_offset)
        .ok()
        .zip(usize::try_from(segment.file_size).ok())
        .and_then(|(offset, size)| file.get(offset..offset.checked_add(size)?));
    let (Some(end), Some(bytes)) = (end, bytes) else {
        stop(Stop::Launch)
    };
    let offset = segment.file_offset / PAGE * PAGE;
    let own_end = match access.allows(Access::WRITE) {
        true => end,
        false if offset < *mapped => end.min(first + PAGE),
        false => first,
    };
    if own_end > first {
        Machine.add(first..own_end);
        let count = bytes.len().min((own_end - segment.address) as usize);
        // SAFETY: pages that were just added, for this segment alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), segment.address as *mut u8, count) };
    }
    if !access.allows(Access::WRITE) {
        let aligned = segment.file_offset % PAGE == segment.address % PAGE;
        if !aligned || segment.file_size != segment.memory_size || segment.file_offset < *mapped {
            stop(Stop::Launch);
        }
        *mapped = segment.file_offset + segment.file_size;
        if own_end > first {
            Machine.restrict(first..own_end, access);
        }
        paging::map(own_end..end, frame + offset + (own_end - first), access);
    }
    space.register(first..end, access);
}
