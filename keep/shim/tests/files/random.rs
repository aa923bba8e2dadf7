//! Random calls, compared one by one.

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, F_DUPFD, F_DUPFD_CLOEXEC,
    F_GETFL, F_SETFD, F_SETFL, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW,
    O_NONBLOCK, O_PATH, O_TRUNC, UTIME_NOW, UTIME_OMIT,
};
use linux_raw_sys::ioctl::{FIOCLEX, FIONBIO, TCGETS};

use crate::both::{Both, HERE};
use crate::isolation::each_isolated;
use crate::memory::{Memory, UNMAPPED};

/// Xorshift, by Marsaglia: the same numbers in each run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Some of the bits.
    fn some(&mut self, bits: &[u32]) -> u64 {
        let mut some = 0;
        for bit in bits {
            if self.one_in(4) {
                some |= *bit;
            }
        }
        some.into()
    }
}

/// Random calls.
struct Caller<'a> {
    both: &'a mut Both,
    random: Random,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "name"];

impl Caller<'_> {
    fn path_text(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        if random.one_in(60) {
            return random
                .of(&[&b""[..], b"/", b"//", b".", b"..", b"./", b"../.."])
                .to_vec();
        }
        if random.one_in(100) {
            let length = random.of(&[255, 256, 4094, 4095, 4096, 5000]);
            return vec![b'n'; length];
        }
        let mut path = Vec::new();
        if random.one_in(6) {
            path.push(b'/');
        }
        let count = random.of(&[1, 1, 1, 1, 2, 2, 2, 3]);
        for index in 0..count {
            if index > 0 {
                path.push(b'/');
                if random.one_in(20) {
                    path.push(b'/');
                }
            }
            let name = match random.below(24) {
                0 => ".",
                1 | 2 => "..",
                _ => random.of(&NAMES),
            };
            path.extend(name.as_bytes());
        }
        if random.one_in(12) {
            path.push(b'/');
        }
        path
    }

    fn path_in(&mut self, place: usize) -> u64 {
        if self.random.one_in(300) {
            return self.random.of(&[0, UNMAPPED]);
        }
        let text = self.path_text();
        let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
        self.both.note(format!("  {shown}"));
        self.both.memory.string(place, &text)
    }

    fn path(&mut self) -> u64 {
        self.path_in(0)
    }

    fn descriptor(&mut self) -> u64 {
        match self.random.below(80) {
            0 => -1_i64 as u64,
            1 => 511,
            2 => 600,
            _ => self.random.below(14),
        }
    }

    fn start(&mut self) -> u64 {
        if self.random.one_in(3) {
            self.descriptor()
        } else {
            HERE
        }
    }

    fn mode(&mut self) -> u64 {
        self.random
            .of(&[0o644, 0o755, 0o777, 0, 0o600, 0o1777, 0o17_7777])
    }

    fn open_flags(&mut self) -> u64 {
        let random = &mut self.random;
        let access = random.of(&[0_u64, 1, 2, 2, 2, 3]);
        let some = [O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_CLOEXEC, O_NONBLOCK];
        let mut flags = access | random.some(&some);
        if random.one_in(2) {
            flags |= u64::from(O_CREAT);
        } else if random.one_in(3) {
            flags = flags & !3 | u64::from(O_DIRECTORY);
        } else if random.one_in(6) {
            flags |= u64::from(O_PATH);
        }
        flags
    }

    fn offset(&mut self) -> u64 {
        match self.random.below(20) {
            0 => -1_i64 as u64,
            1 => i64::MAX as u64 - self.random.below(3),
            2 => i64::MIN as u64,
            3 => 1 << 40,
            4..8 => self.random.below(300_000),
            _ => self.random.below(6000),
        }
    }

    fn length(&mut self) -> u64 {
        match self.random.below(16) {
            0 => 0,
            1 => self.random.below(Memory::BUFFER_LENGTH as u64),
            2 => 8,
            _ => self.random.below(2000),
        }
    }

    fn buffer(&mut self) -> u64 {
        if self.random.one_in(60) {
            return UNMAPPED;
        }
        let seed = self.random.next().to_le_bytes();
        let bytes: Vec<u8> = seed.iter().cycle().take(2100).copied().collect();
        self.both.memory.fill(0, &bytes)
    }

    /// An array of `iovec` in the buffer's second part, whose parts are in the first.
    fn vector(&mut self) -> (u64, u64) {
        let count = self.random.below(5);
        let mut bytes = Vec::new();
        for _ in 0..count {
            let address = self.buffer() + self.random.below(3000);
            let length = match self.random.below(40) {
                0 => u64::MAX,
                _ => self.length() / 4,
            };
            bytes.extend(address.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        let address = self.both.memory.fill(Memory::BUFFER_LENGTH - 1024, &bytes);
        let count = match self.random.below(60) {
            0 => 1025,
            _ => count,
        };
        (address, count)
    }

    fn transfer(&mut self) {
        let descriptor = self.descriptor();
        let (buffer, length, offset) = (self.buffer(), self.length(), self.offset());
        let (vector, count) = self.vector();
        let both = &mut *self.both;
        match self.random.below(9) {
            0 | 1 => both.call(linux::__NR_read, [descriptor, buffer, length]),
            2..=4 => both.call(linux::__NR_write, [descriptor, buffer, length]),
            5 => both.call(linux::__NR_pread64, [descriptor, buffer, length, offset]),
            6 => both.call(linux::__NR_pwrite64, [descriptor, buffer, length, offset]),
            7 => both.call(linux::__NR_readv, [descriptor, vector, count]),
            _ => both.call(linux::__NR_writev, [descriptor, vector, count]),
        };
    }

    fn position(&mut self) {
        let descriptor = self.descriptor();
        let (offset, length) = (self.offset(), self.offset());
        let advice = self.random.below(8);
        let both = &mut *self.both;
        match self.random.below(7) {
            0..=3 => {
                let status = both.files.descriptor(descriptor as i32);
                let is_directory = status.is_ok_and(|description| {
                    matches!(
                        description.object(),
                        enarx_keep_shim::file::Object::Directory(_)
                    )
                });
                // Positions in directories are each file system's own.
                if !is_directory {
                    let whence = self.random.of(&[0, 1, 2, 5]);
                    both.call(linux::__NR_lseek, [descriptor, offset, whence]);
                }
            }
            4 => {
                both.call(linux::__NR_ftruncate, [descriptor, offset]);
            }
            5 => {
                let number = self.random.of(&[linux::__NR_fsync, linux::__NR_fdatasync]);
                both.call(number, [descriptor]);
            }
            _ => {
                both.call(linux::__NR_fadvise64, [descriptor, offset, length, advice]);
            }
        }
    }

    fn table(&mut self) {
        let (descriptor, other) = (self.descriptor(), self.descriptor());
        let random = &mut self.random;
        let both = &mut *self.both;
        match random.below(14) {
            0..=5 => both.call(linux::__NR_close, [descriptor]),
            6 | 7 => both.call(linux::__NR_dup, [descriptor]),
            8 => {
                let command = random.of(&[F_DUPFD, F_DUPFD_CLOEXEC]);
                both.call(linux::__NR_fcntl, [descriptor, command.into(), other])
            }
            9 | 10 => {
                let command = random.of(&[F_GETFL, 77]);
                both.call(linux::__NR_fcntl, [descriptor, command.into(), 0])
            }
            11 => {
                let argument = random.below(3);
                both.call(linux::__NR_fcntl, [descriptor, F_SETFD.into(), argument])
            }
            12 => {
                let argument = random.some(&[O_APPEND, O_NONBLOCK, O_CREAT, 3]);
                both.call(linux::__NR_fcntl, [descriptor, F_SETFL.into(), argument])
            }
            13 => {
                let request = random.of(&[FIOCLEX, TCGETS, FIONBIO]);
                let argument = both.memory.fill(0, &random.below(2).to_le_bytes());
                both.call(linux::__NR_ioctl, [descriptor, request.into(), argument])
            }
            _ => {
                let nonblocking = u64::from(O_NONBLOCK);
                let flags = random.of(&[nonblocking, nonblocking | 0x80000, 64]);
                let value = random.of(&[0, 3, 0xffff_ffff]);
                both.call(linux::__NR_eventfd2, [value, flags])
            }
        };
    }

    fn names(&mut self) {
        let (start, path) = (self.start(), self.path());
        let (mode, other_start) = (self.mode(), self.start());
        match self.random.below(15) {
            0..=3 => {
                self.both.call(linux::__NR_mkdirat, [start, path, mode]);
            }
            4 | 5 => {
                let flags = self.random.of(&[0, 0, u64::from(AT_REMOVEDIR), 1]);
                self.both.call(linux::__NR_unlinkat, [start, path, flags]);
            }
            6..=9 => {
                let other = self.path_in(1);
                let arguments = [start, path, other_start, other];
                self.both.call(linux::__NR_renameat, arguments);
            }
            10 | 11 => {
                let other = self.path_in(1);
                let flags = self.random.some(&[AT_SYMLINK_FOLLOW, AT_EMPTY_PATH]);
                let arguments = [start, path, other_start, other, flags];
                self.both.call(linux::__NR_linkat, arguments);
            }
            12 | 13 => {
                let target = self.path_in(1);
                self.both.call(linux::__NR_symlinkat, [target, start, path]);
            }
            _ => {
                let buffer = self.both.memory.buffer();
                let length = self.random.of(&[0, 3, 4096, u64::MAX]);
                self.both
                    .call(linux::__NR_readlinkat, [start, path, buffer, length]);
            }
        }
    }

    fn attributes(&mut self) {
        let (descriptor, start, path) = (self.descriptor(), self.start(), self.path());
        let flags = self.random.some(&[AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1]);
        let buffer = self.both.memory.buffer();
        let random = &mut self.random;
        let both = &mut *self.both;
        match random.below(5) {
            0 => both.call(linux::__NR_newfstatat, [start, path, buffer, flags]),
            1 => both.call(linux::__NR_fstat, [descriptor, buffer]),
            _ => {
                let mut times = Vec::new();
                for _ in 0..2 {
                    let seconds = random.below(1000);
                    let nanoseconds = match random.below(8) {
                        0 => u64::from(UTIME_NOW),
                        1 => u64::from(UTIME_OMIT),
                        2 => 1_000_000_000,
                        _ => random.below(1_000_000_000),
                    };
                    times.extend([seconds, nanoseconds].map(u64::to_le_bytes).as_flattened());
                }
                let given = both.memory.fill(0, &times);
                let times = random.of(&[given, given, given, 0, UNMAPPED]);
                let node = both.files.descriptor(start as i32);
                // Times of what is not in the file system are not kept.
                let by_descriptor = start == HERE || node.is_ok_and(in_tree);
                let path = if by_descriptor {
                    random.of(&[path, path, 0])
                } else {
                    path
                };
                let flags = flags & !u64::from(AT_EMPTY_PATH);
                both.call(linux::__NR_utimensat, [start, path, times, flags])
            }
        };
    }

    fn open(&mut self) {
        let (start, path, mode) = (self.start(), self.path(), self.mode());
        let flags = self.open_flags();
        if self.random.one_in(4) {
            let mode = if flags & u64::from(O_CREAT) != 0 {
                mode & 0o7777
            } else {
                0
            };
            let resolve = self.random.of(&[0, 8, 8, 2, 10, 64]);
            let how = [flags, mode, resolve, 0].map(u64::to_le_bytes);
            let how = self.both.memory.fill(0, how.as_flattened());
            let size = self.random.of(&[24, 24, 24, 16]);
            self.both
                .call(linux::__NR_openat2, [start, path, how, size]);
        } else {
            self.both
                .call(linux::__NR_openat, [start, path, flags, mode]);
        }
    }

    fn list(&mut self) {
        let descriptor = self.descriptor();
        let seek = [descriptor, 0, 0];
        let description = self.both.files.descriptor(descriptor as i32);
        let is_directory = description.is_ok_and(|description| {
            matches!(
                description.object(),
                enarx_keep_shim::file::Object::Directory(_)
            )
        });
        if is_directory {
            self.both.call(linux::__NR_lseek, seek);
        }
        let length = self.random.of(&[0, 24, 300, 300, 4096]);
        // Some lengths are enough for some names only, which come in an order of each own.
        if length >= 300 || !is_directory {
            self.both.list(descriptor, length as usize);
        }
    }

    /// Something to begin with.
    fn populate(&mut self) {
        for path in ["a", "b", "a/c", "a/c/d", "b/a"] {
            self.both.at_path(linux::__NR_mkdir, path, 0o755);
        }
        for path in ["c", "a/b", "a/c/a", "b/b", "b/name"] {
            if !self.random.one_in(3) {
                self.both.make_file(path, path.as_bytes());
            }
        }
        for (target, path) in [
            ("a", "d"),
            ("../b", "a/d"),
            ("/a/c", "name"),
            ("nothing", "b/d"),
        ] {
            if !self.random.one_in(3) {
                self.both.link(target, path);
            }
        }
    }

    fn any(&mut self) {
        match self.random.below(100) {
            0..20 => self.open(),
            20..45 => self.transfer(),
            45..52 => self.position(),
            52..62 => self.table(),
            62..84 => self.names(),
            84..97 => self.attributes(),
            _ => self.list(),
        }
    }
}

fn in_tree(description: &enarx_keep_shim::file::Description) -> bool {
    use enarx_keep_shim::file::Object;
    matches!(
        description.object(),
        Object::File(_) | Object::Directory(_) | Object::Path(_)
    )
}

/// Runs sequences of calls, each in an empty file system.
fn sequences(seeds: std::ops::Range<u64>, calls: usize) {
    each_isolated(seeds, move |both, seed| {
        both.note(format!("sequence {seed}"));
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut caller = Caller { both, random };
        if seed % 8 > 0 {
            caller.populate();
        }
        for _ in 0..calls {
            caller.any();
        }
        caller.both.compare_all();
    });
}

#[test]
fn many_short_sequences_of_calls_are_as_in_linux() {
    sequences(0..300, 100);
}

#[test]
fn few_long_sequences_of_calls_are_as_in_linux() {
    sequences(1000..1015, 2000);
}
