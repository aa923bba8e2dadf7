//! Which method answers which system call.

use linux_raw_sys::general as linux;
use linux_raw_sys::general::AT_FDCWD;

use super::Files;
use super::open::How;
use super::time::Time;
use super::transfer::Position;
use crate::{Buffer, Buffers, Error, UserMemory};

impl Files {
    /// Answers a system call. Nothing is answered where the call is not about files, or asks for
    /// data of a descriptor that is served elsewhere.
    #[rustfmt::skip]
    pub fn call(
        &mut self,
        memory: &impl UserMemory,
        number: u32,
        arguments: [u64; 6],
        now: Time,
    ) -> Option<Result<u64, Error>> {
        let [first, second, third, fourth, fifth, _] = arguments;
        let descriptor = first as i32;
        let buffer = Buffers::One(Buffer { address: second, length: third });
        let vector = Buffers::Array { address: second, count: third };
        let at = Position::At(fourth);
        // Paths start from a descriptor, or from the root.
        let from_root = (AT_FDCWD, first);
        let place = (descriptor, second);
        let other_place = (third as i32, fourth);
        Some(match number {
            linux::__NR_read | linux::__NR_readv | linux::__NR_write | linux::__NR_writev
                if self.is_stream(descriptor) => return None,

            // Data
            linux::__NR_read => self.read(memory, descriptor, buffer, Position::Current),
            linux::__NR_readv => self.read(memory, descriptor, vector, Position::Current),
            linux::__NR_pread64 => self.read(memory, descriptor, buffer, at),
            linux::__NR_write => self.write(memory, descriptor, buffer, Position::Current, now),
            linux::__NR_writev => self.write(memory, descriptor, vector, Position::Current, now),
            linux::__NR_pwrite64 => self.write(memory, descriptor, buffer, at, now),
            linux::__NR_lseek => self.seek(descriptor, second as i64, third as u32),
            linux::__NR_ftruncate => self.truncate(descriptor, second as i64, now),
            linux::__NR_fsync | linux::__NR_fdatasync => self.synchronize(descriptor),
            linux::__NR_fadvise64 => self.advise(descriptor, third as i64, fourth as u32),

            // Descriptors
            linux::__NR_close => self.close(descriptor),
            linux::__NR_dup => self.table.duplicate(descriptor, 0),
            linux::__NR_fcntl => self.control(descriptor, second as u32, third),
            linux::__NR_ioctl => self.device_control(memory, descriptor, second as u32, third),
            linux::__NR_eventfd2 => self.eventfd(first as u32, second as u32),
            linux::__NR_epoll_create1 => self.make_epoll(first as u32),
            linux::__NR_epoll_ctl =>
                self.control_epoll(memory, descriptor, second as u32, third as i32, fourth),

            // Names
            linux::__NR_openat => How::new(third as u32, fourth as u32)
                .and_then(|how| self.open(memory, place, &how, now)),
            linux::__NR_openat2 => How::from_memory(memory, third, fourth)
                .and_then(|how| self.open(memory, place, &how, now)),
            linux::__NR_getdents64 => self.list(memory, descriptor, second, third as u32),
            linux::__NR_mkdir => self.make_directory(memory, from_root, now),
            linux::__NR_mkdirat => self.make_directory(memory, place, now),
            linux::__NR_unlinkat => self.remove(memory, place, third as u32, now),
            linux::__NR_renameat => self.rename(memory, place, other_place, now),
            linux::__NR_linkat => self.make_link(memory, place, other_place, fifth as u32, now),
            linux::__NR_symlinkat =>
                self.make_symbolic_link(memory, first, (second as i32, third), now),
            linux::__NR_readlink => self.read_link(memory, from_root, second, third as i32),
            linux::__NR_readlinkat => self.read_link(memory, place, third, fourth as i32),

            // What is known of files
            linux::__NR_fstat => self.status_of_open(memory, descriptor, second),
            linux::__NR_newfstatat => self.status(memory, place, third, fourth as u32),
            linux::__NR_utimensat => self.set_times(memory, place, third, fourth as u32, now),
            _ => return None,
        })
    }

    fn is_stream(&self, descriptor: i32) -> bool {
        let description = self.table.get(descriptor);
        description.is_ok_and(|description| description.object.is_stream())
    }
}
