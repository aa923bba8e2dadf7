//! A gigabyte passes through in a few megabytes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{self, BufReader, BufWriter, Read, Write},
    thread,
};

use enarx_wire_package::*;

use crate::sample::{SALT, key};

/// Counts what each thread holds of the heap.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator with the same arguments;
// counting touches only thread-local cells that need no allocation and no
// destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `work` held at once beyond what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

const GIBIBYTE: u64 = 1 << 30;
const BOUND: isize = 2 << 20;

fn huge() -> Manifest {
    let mut manifest = crate::sample::manifest(b"wasm", &[]);
    manifest.entries.push(Entry {
        path: "/huge".into(),
        kind: EntryKind::File,
        size: GIBIBYTE,
        digest: None,
    });
    manifest
}

#[test]
fn a_gibibyte_is_sealed_and_opened_in_two_mebibytes() {
    let (pipe_out, pipe_in) = io::pipe().unwrap();
    let sealing = thread::spawn(move || {
        peak_of(|| {
            let sink = BufWriter::with_capacity(CHUNK_SIZE, pipe_in);
            let mut writer = PackageWriter::new(sink, &key(), SALT, &huge()).unwrap();
            writer.entry(&b"wasm"[..]).unwrap();
            let zeros = io::repeat(0).take(GIBIBYTE);
            writer
                .entry(BufReader::with_capacity(2 * CHUNK_SIZE, zeros))
                .unwrap();
            writer.finish().unwrap();
        })
        .1
    });
    let ((), opening) = peak_of(|| {
        let source = BufReader::with_capacity(CHUNK_SIZE, pipe_out);
        let mut reader = PackageReader::open(source, &key()).unwrap();
        reader.copy_entry(&mut io::sink()).unwrap();
        let mut counted = Zeros(0);
        reader.copy_entry(&mut counted).unwrap();
        assert_eq!(counted.0, GIBIBYTE);
        reader.finish().unwrap();
    });
    let sealing = sealing.join().unwrap();
    assert!(sealing < BOUND, "sealing held {sealing} bytes");
    assert!(opening < BOUND, "opening held {opening} bytes");
}

#[test]
fn endless_garbage_is_given_up_in_two_mebibytes() {
    let sealed = crate::sample::package(SALT, b"wasm", &[]);
    let endless = sealed.as_slice().chain(io::repeat(0x55));
    let (refused, peak) = peak_of(|| crate::sample::read(endless, &key()).is_err());
    assert!(refused);
    assert!(peak < BOUND, "held {peak} bytes");
}

/// Counts bytes, all of which must be zero.
struct Zeros(u64);

impl Write for Zeros {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(bytes.iter().all(|byte| *byte == 0));
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
