//! The Keep's file system and the kernel's, side by side.

use std::collections::{BTreeMap, HashMap};
use std::mem::offset_of;

use enarx_keep_shim::Error;
use enarx_keep_shim::file::{Description, Event, Files, Limits, Object, Phase, Time};
use linux_raw_sys::general::{
    AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY,
    S_IFDIR, S_IFMT, S_IFREG, open_how, stat,
};
use linux_raw_sys::{errno, general as linux};

use crate::isolation::OPEN_FILES;
use crate::memory::Memory;

/// What the Keep is told the time is. The kernel's time and this are "now"; what tests set is
/// long before.
pub const NOW: Time = Time::from_nanoseconds(2_000_000_000 * 1_000_000_000);
const BEFORE_NOW: u64 = 1_000_000_000;

/// What the Keep's files may take.
const BYTES: u64 = 64 << 20;

/// Both.
pub struct Both {
    pub files: Files,
    pub memory: Memory,

    /// What was called, to be told when something differs.
    log: Vec<String>,

    /// The kernel's inode numbers of nodes.
    numbers: HashMap<u64, u64>,
}

const WRITES: [u32; 3] = [linux::__NR_write, linux::__NR_pwrite64, linux::__NR_writev];

/// The start of any path.
pub const HERE: u64 = AT_FDCWD as u64;

/// Makes a call in the kernel. Answers as it does: errors are negative.
pub fn system_call(number: u64, arguments: [u64; 6]) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the calls made here are on files and descriptors of a thread that has its own,
    // and write to the memory that is handed over for them only.
    let result =
        unsafe { libc::syscall(number as i64, first, second, third, fourth, fifth, sixth) };
    if result == -1 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap())
    } else {
        result
    }
}

impl Both {
    pub fn new() -> Self {
        Self {
            files: Files::new(Limits {
                open_files: OPEN_FILES,
                bytes: BYTES,
                heap_has_room: || true,
            }),
            memory: Memory::new(),
            log: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Notes what is done next.
    pub fn note(&mut self, words: String) {
        self.log.push(words);
    }

    /// Makes a call in both; answers the result that both gave. Calls that are not served by
    /// the files, or would wait, are made in neither.
    pub fn call<const N: usize>(&mut self, number: u32, arguments: [u64; N]) -> Option<i64> {
        let mut all = [0; 6];
        all[..N].copy_from_slice(&arguments);
        if [linux::__NR_readv, linux::__NR_writev].contains(&number) && self.counts(all[0] as i32) {
            // Nobody moves events in parts.
            return None;
        }
        let before = self.memory.save();
        let result = self.files.call(&self.memory, number, all, NOW)?;
        let result = result.map_or_else(|error| error.as_result(), |value| value as i64);
        self.log
            .push(format!("    {number} {arguments:x?} = {result}"));
        if result == -i64::from(errno::EAGAIN) && self.would_wait(all[0] as i32) {
            return None;
        }
        if result == -i64::from(errno::EFAULT) && WRITES.contains(&number) {
            // Some kernels' tmpfs makes a file longer up to where nothing could be written.
            return None;
        }
        let mut written = self.memory.save();
        self.memory.restore(&before);
        let expected = system_call(number.into(), all);
        if result != expected {
            self.differs(&format!("{result} instead of {expected}"));
        }
        let mut expected = self.memory.save();
        if result >= 0 {
            let buffer = self.memory.save().len() - Memory::BUFFER_LENGTH;
            match number {
                linux::__NR_fstat | linux::__NR_newfstatat => {
                    self.compare_numbers(
                        &written[buffer + offset_of!(stat, st_ino)..],
                        &expected[buffer + offset_of!(stat, st_ino)..],
                    );
                    comparable_stat(&mut written[buffer..]);
                    comparable_stat(&mut expected[buffer..]);
                }
                _ => {}
            }
        }
        if written != expected {
            let mut pairs = written.iter().zip(&expected);
            let at = pairs.position(|(one, other)| one != other).unwrap_or(0);
            let end = (at + 16).min(written.len());
            let (written, expected) = (&written[at..end], &expected[at..end]);
            self.differs(&format!(
                "{written:x?} instead of {expected:x?} in memory at {at}"
            ));
        }
        Some(result)
    }

    /// As [`call`](Self::call), of a call that is made.
    pub fn must<const N: usize>(&mut self, number: u32, arguments: [u64; N]) -> i64 {
        self.call(number, arguments).expect("a call on files")
    }

    /// Opens a path from a descriptor.
    pub fn open_at(&mut self, descriptor: u64, path: &str, flags: u32, mode: u32) -> i64 {
        let path = self.memory.string(0, path.as_bytes());
        let arguments = [descriptor, path, flags.into(), mode.into()];
        self.must(linux::__NR_openat, arguments)
    }

    pub fn open(&mut self, path: &str, flags: u32) -> i64 {
        self.open_at(HERE, path, flags, 0o644)
    }

    /// Opens a path with `openat2`.
    pub fn open_how(&mut self, descriptor: u64, path: &str, flags: u32, resolve: u32) -> i64 {
        let how = [u64::from(flags), 0, u64::from(resolve)].map(u64::to_le_bytes);
        let how = self.memory.fill(0, how.as_flattened());
        let path = self.memory.string(0, path.as_bytes());
        let size = size_of::<open_how>() as u64;
        self.must(linux::__NR_openat2, [descriptor, path, how, size])
    }

    /// Makes a call whose first argument is a path.
    pub fn at_path(&mut self, number: u32, path: &str, argument: u64) -> i64 {
        let path = self.memory.string(0, path.as_bytes());
        self.must(number, [path, argument])
    }

    /// Makes a symbolic link.
    pub fn link(&mut self, target: &str, path: &str) -> i64 {
        let target = self.memory.string(0, target.as_bytes());
        let path = self.memory.string(1, path.as_bytes());
        self.must(linux::__NR_symlinkat, [target, HERE, path])
    }

    /// Removes a name, a directory's if `flags` say so.
    pub fn remove(&mut self, path: &str, flags: u32) -> i64 {
        let path = self.memory.string(0, path.as_bytes());
        self.must(linux::__NR_unlinkat, [HERE, path, flags.into()])
    }

    pub fn close(&mut self, descriptor: i64) -> i64 {
        self.must(linux::__NR_close, [descriptor as u64])
    }

    pub fn write(&mut self, descriptor: i64, bytes: &[u8]) -> i64 {
        let buffer = self.memory.fill(0, bytes);
        self.must(
            linux::__NR_write,
            [descriptor as u64, buffer, bytes.len() as u64],
        )
    }

    pub fn read(&mut self, descriptor: i64, count: usize) -> Result<Vec<u8>, i64> {
        let arguments = [descriptor as u64, self.memory.buffer(), count as u64];
        match self.must(linux::__NR_read, arguments) {
            error if error < 0 => Err(error),
            count => Ok(self.memory.filled(count as usize)),
        }
    }

    /// Makes a file with something in it.
    pub fn make_file(&mut self, path: &str, bytes: &[u8]) {
        let file = self.open(path, linux::O_CREAT | linux::O_WRONLY);
        assert_eq!(self.write(file, bytes), bytes.len() as i64);
        self.close(file);
    }

    /// What `poll` finds of a descriptor in both, without waiting.
    pub fn poll(&mut self, descriptor: i64, events: u32) -> u32 {
        let mut noted = Vec::new();
        let phase = &mut Phase::Inside(&mut noted);
        let found = self
            .files
            .poll(descriptor as i32, events as u16, phase)
            .unwrap_or(linux::POLLNVAL as u16);
        let mut entry = libc::pollfd {
            fd: descriptor as i32,
            events: events as i16,
            revents: 0,
        };
        let at = (&raw mut entry).addr() as u64;
        assert!(system_call(linux::__NR_poll.into(), [at, 1, 0, 0, 0, 0]) >= 0);
        self.log
            .push(format!("    poll {descriptor} {events:x} = {found:x}"));
        if found != entry.revents as u16 {
            self.differs(&format!("{found:x} instead of {:x}", entry.revents));
        }
        found.into()
    }

    /// The events and data that `epoll_wait` tells in both, without waiting. Each side has an
    /// order of its own.
    pub fn epoll_wait(&mut self, epoll: i64) -> Result<Vec<[u8; Event::SIZE]>, i64> {
        const MOST: usize = 100;
        let mut noted = Vec::new();
        let phase = &mut Phase::Inside(&mut noted);
        let mut events = Vec::new();
        let told = self
            .files
            .tell_events(epoll as i32, phase, &mut events, MOST);
        let mut expected = [[0; Event::SIZE]; MOST];
        let at = expected.as_mut_ptr().addr() as u64;
        let arguments = [epoll as u64, at, MOST as u64, 0, 0, 0];
        let count = system_call(linux::__NR_epoll_wait.into(), arguments);
        let expected = match usize::try_from(count) {
            Ok(count) => {
                let mut expected = expected[..count].to_vec();
                expected.sort_unstable();
                Ok(expected)
            }
            Err(_) => Err(count),
        };
        let mut events: Vec<_> = events.into_iter().map(Event::encode).collect();
        events.sort_unstable();
        let found = told.map(|()| events).map_err(|error| error.as_result());
        self.log
            .push(format!("    epoll_wait {epoll} = {found:x?}"));
        if found != expected {
            self.differs(&format!("{found:x?} instead of {expected:x?}"));
        }
        found
    }

    /// What is in a directory, by name: the types. Each side is asked by itself, as they have
    /// orders of their own.
    pub fn list(&mut self, descriptor: u64, buffer_length: usize) -> Option<BTreeMap<Vec<u8>, u8>> {
        let buffer = self.memory.buffer();
        let arguments = [descriptor, buffer, buffer_length as u64, 0, 0, 0];
        let number = linux::__NR_getdents64;
        let mut sides = Vec::new();
        for kernel in [false, true] {
            let mut entries = BTreeMap::new();
            let end = loop {
                let result = if kernel {
                    system_call(number.into(), arguments)
                } else {
                    let result = self.files.call(&self.memory, number, arguments, NOW);
                    let result = result.expect("a call on files");
                    result.map_or_else(|error| error.as_result(), |value| value as i64)
                };
                if result <= 0 {
                    break result;
                }
                let listed = self.memory.filled(result as usize);
                let mut rest = &listed[..];
                while !rest.is_empty() {
                    let length = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
                    let name = &rest[19..length];
                    let name = name.split(|byte| *byte == 0).next().unwrap();
                    let twice = entries.insert(name.to_vec(), rest[18]);
                    assert_eq!(twice, None, "{name:?} is listed twice");
                    rest = &rest[length..];
                }
            };
            sides.push((end, entries));
        }
        let (expected, found) = (sides.pop().unwrap(), sides.pop().unwrap());
        self.log.push(format!("    list {descriptor} = {found:?}"));
        if found != expected {
            self.differs(&format!("a listing instead of {expected:?}"));
        }
        (found.0 == 0).then_some(found.1)
    }

    /// Compares all below the root, then removes it, and finds that nothing is left.
    pub fn compare_all(&mut self) {
        self.close_all(0);
        let root = self.open("/", O_RDONLY | O_DIRECTORY);
        self.compare_directory(root as u64);
        self.close(root);
        assert_eq!(
            self.files.free_bytes(),
            BYTES,
            "something is left:\n{}",
            self.log.join("\n")
        );
    }

    /// Closes all descriptors from `first` on.
    pub fn close_all(&mut self, first: u32) {
        for descriptor in first..OPEN_FILES {
            if self.files.descriptor(descriptor as i32).is_ok() {
                assert_eq!(self.close(descriptor.into()), 0);
            }
        }
    }

    fn compare_directory(&mut self, descriptor: u64) {
        let entries = self.list(descriptor, 4096).unwrap();
        for (name, _) in entries {
            if name == b"." || name == b".." {
                continue;
            }
            let path = self.memory.string(0, &name);
            let buffer = self.memory.fill(0, &[0; 144]);
            let nofollow = u64::from(AT_SYMLINK_NOFOLLOW);
            let number = linux::__NR_newfstatat;
            assert_eq!(self.must(number, [descriptor, path, buffer, nofollow]), 0);
            let status = self.memory.filled(size_of::<stat>());
            let mode = u32_at(&status, offset_of!(stat, st_mode));
            let size = u64_at(&status, offset_of!(stat, st_size));
            let flags = u64::from(O_RDONLY | O_NOFOLLOW);
            match mode & S_IFMT {
                S_IFDIR => {
                    let opened = self.must(linux::__NR_openat, [descriptor, path, flags, 0]);
                    self.compare_directory(opened as u64);
                    self.close(opened);
                }
                S_IFREG => {
                    let opened = self.must(linux::__NR_openat, [descriptor, path, flags, 0]);
                    self.compare_content(opened as u64, size);
                    self.close(opened);
                }
                _ => {
                    let length = Memory::BUFFER_LENGTH as u64;
                    self.must(linux::__NR_readlinkat, [descriptor, path, buffer, length]);
                }
            }
            let path = self.memory.string(0, &name);
            let is_directory = mode & S_IFMT == S_IFDIR;
            let flags = if is_directory { AT_REMOVEDIR } else { 0 };
            assert_eq!(
                self.must(linux::__NR_unlinkat, [descriptor, path, flags.into()]),
                0
            );
        }
    }

    /// Reads the start and the end of a file.
    fn compare_content(&mut self, descriptor: u64, size: u64) {
        const PART: u64 = 128 * 1024;
        let start = (0..4).map(|part| part * PART);
        for offset in start.chain([size.saturating_sub(PART)]) {
            let buffer = self.memory.buffer();
            self.must(linux::__NR_pread64, [descriptor, buffer, PART, offset]);
        }
    }

    /// A node always has the same number, and no other node has it.
    fn compare_numbers(&mut self, one: &[u8], other: &[u8]) {
        let (one, other) = (u64_at(one, 0), u64_at(other, 0));
        // Streams have numbers of their own.
        if one > 5 && *self.numbers.entry(one).or_insert(other) != other {
            self.differs("the inode number");
        }
    }

    fn counts(&self, descriptor: i32) -> bool {
        let description = self.files.descriptor(descriptor);
        description.is_ok_and(|description| matches!(description.object(), Object::EventFd(_)))
    }

    fn would_wait(&self, descriptor: i32) -> bool {
        let description = self.files.descriptor(descriptor);
        let waits = |description: &Description| description.status_flags() & O_NONBLOCK == 0;
        self.counts(descriptor) && description.is_ok_and(waits)
    }

    fn differs(&self, what: &str) -> ! {
        let last = self.log.len().saturating_sub(60);
        let first = self.log.first().map_or("", String::as_str);
        panic!(
            "different: {what}\n{first}\n{}",
            self.log[last..].join("\n")
        );
    }
}

/// An error as a call answers it.
pub fn error(error: Error) -> i64 {
    error.as_result()
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// Leaves of a `stat` what must be the same.
fn comparable_stat(record: &mut [u8]) {
    // Permissions are those of all of the same type.
    let type_ = u32_at(record, offset_of!(stat, st_mode)) & S_IFMT;
    record[offset_of!(stat, st_mode)..][..4].copy_from_slice(&type_.to_le_bytes());
    let mut clear = |offset, length| record[offset..offset + length].fill(0);
    clear(offset_of!(stat, st_dev), 8);
    clear(offset_of!(stat, st_ino), 8);
    clear(offset_of!(stat, st_blksize), 8);
    // Memory is given in other pieces.
    clear(offset_of!(stat, st_blocks), 8);
    clear(offset_of!(stat, st_atime), 16);
    if type_ == S_IFDIR {
        clear(offset_of!(stat, st_size), 8);
    }
    let is_node = [S_IFDIR, S_IFREG, linux::S_IFLNK].contains(&type_);
    for offset in [offset_of!(stat, st_mtime), offset_of!(stat, st_ctime)] {
        let now = (BEFORE_NOW..=i64::MAX as u64).contains(&u64_at(record, offset));
        if now || !is_node {
            record[offset..offset + 16].fill(0);
        }
    }
    if !is_node {
        // Mode and owner: where streams come from is not the same.
        record[offset_of!(stat, st_mode)..][..12].fill(0);
    }
}
