//! Which method answers which system call.

use linux_raw_sys::general as linux;
use linux_raw_sys::general::{
    AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CREAT, O_TRUNC, O_WRONLY,
};
use linux_raw_sys::ioctl::FIONREAD;

use super::Files;
use super::open::How;
use super::time::Time;
use super::transfer::{Buffer, Position, Vector};
use crate::{Error, UserMemory};

impl Files {
    /// Answers a system call.
    ///
    /// Nothing is answered where the call is not about files, or asks for data of a descriptor
    /// that is served elsewhere.
    pub fn call(
        &mut self,
        memory: &impl UserMemory,
        number: u64,
        arguments: [u64; 6],
        now: Time,
    ) -> Option<Result<u64, Error>> {
        let number = u32::try_from(number).ok()?;
        if self.is_served_elsewhere(number, arguments) {
            return None;
        }
        self.descriptor_call(memory, number, arguments, now)
            .or_else(|| self.path_call(memory, number, arguments, now))
    }

    /// Whether a call asks for data of a stream.
    fn is_served_elsewhere(&self, number: u32, arguments: [u64; 6]) -> bool {
        let moves_data = match number {
            linux::__NR_read | linux::__NR_readv | linux::__NR_write | linux::__NR_writev => true,
            linux::__NR_preadv2 | linux::__NR_pwritev2 => arguments[3] == CURRENT,
            linux::__NR_ioctl => arguments[1] as u32 == FIONREAD,
            _ => false,
        };
        let description = self.table.get(arguments[0] as i32);
        moves_data && description.is_ok_and(|description| description.object.is_stream())
    }

    /// Calls whose first argument is a descriptor, without a path.
    fn descriptor_call(
        &mut self,
        memory: &impl UserMemory,
        number: u32,
        arguments: [u64; 6],
        now: Time,
    ) -> Option<Result<u64, Error>> {
        let [first, second, third, fourth, _, sixth] = arguments;
        let descriptor = first as i32;
        let buffer = Buffer {
            address: second,
            length: third,
        };
        let vector = Vector {
            address: second,
            count: third,
        };
        Some(match number {
            linux::__NR_read => self.read(memory, descriptor, buffer, Position::Current),
            linux::__NR_readv => self.read(memory, descriptor, vector, Position::Current),
            linux::__NR_pread64 => self.read(memory, descriptor, buffer, Position::At(fourth)),
            linux::__NR_preadv => self.read(memory, descriptor, vector, Position::At(fourth)),
            linux::__NR_preadv2 => at_or_current(fourth, sixth)
                .and_then(|position| self.read(memory, descriptor, vector, position)),
            linux::__NR_write => self.write(memory, descriptor, buffer, Position::Current, now),
            linux::__NR_writev => self.write(memory, descriptor, vector, Position::Current, now),
            linux::__NR_pwrite64 => {
                self.write(memory, descriptor, buffer, Position::At(fourth), now)
            }
            linux::__NR_pwritev => {
                self.write(memory, descriptor, vector, Position::At(fourth), now)
            }
            linux::__NR_pwritev2 => at_or_current(fourth, sixth)
                .and_then(|position| self.write(memory, descriptor, vector, position, now)),
            linux::__NR_lseek => self.seek(descriptor, second as i64, third as u32),
            linux::__NR_ftruncate => self.truncate_open(descriptor, second as i64, now),
            linux::__NR_fallocate => {
                self.allocate(descriptor, second as u32, third as i64, fourth as i64, now)
            }
            linux::__NR_fsync | linux::__NR_fdatasync => self.synchronize(descriptor),
            linux::__NR_sync_file_range => {
                self.synchronize_range(descriptor, second as i64, third as i64, fourth as u32)
            }
            linux::__NR_fadvise64 => self.advise(descriptor, third as i64, fourth as u32),
            linux::__NR_getdents64 => self.list(memory, descriptor, second, third as u32),
            linux::__NR_fstat => self.status_of_open(memory, descriptor, second),
            linux::__NR_fstatfs => self.file_system_of_open(memory, descriptor, second),
            linux::__NR_fchmod => self.change_open_mode(descriptor, second as u32, now),
            linux::__NR_fchdir => self.change_directory_to_open(descriptor),
            linux::__NR_close => self.close(descriptor),
            linux::__NR_close_range => self.close_range(first as u32, second as u32, third as u32),
            linux::__NR_dup => self.duplicate(descriptor),
            linux::__NR_dup2 => self.duplicate_to(descriptor, second as u32),
            linux::__NR_dup3 => self.duplicate_with_flags(descriptor, second as u32, third as u32),
            linux::__NR_fcntl => self.control(descriptor, second as u32, third),
            linux::__NR_ioctl => self.device_control(memory, descriptor, second as u32, third),
            linux::__NR_eventfd => self.eventfd(first as u32, 0),
            linux::__NR_eventfd2 => self.eventfd(first as u32, second as u32),
            linux::__NR_epoll_create1 => self.make_epoll(first as u32),
            linux::__NR_epoll_ctl => {
                self.control_epoll(memory, descriptor, second as u32, third as i32, fourth)
            }
            linux::__NR_umask => Ok(self.set_mode_mask(first as u32)),
            linux::__NR_getcwd => self.working_directory(memory, first, second),
            _ => return None,
        })
    }

    /// Calls with a path, which starts from a descriptor or from the working directory.
    fn path_call(
        &mut self,
        memory: &impl UserMemory,
        number: u32,
        arguments: [u64; 6],
        now: Time,
    ) -> Option<Result<u64, Error>> {
        let [first, second, third, fourth, fifth, _] = arguments;
        let here = (AT_FDCWD, first);
        let there = (first as i32, second);
        let (descriptor, path) = there;
        Some(match number {
            linux::__NR_open => How::new(second as u32, third as u32)
                .and_then(|how| self.open(memory, AT_FDCWD, first, &how, now)),
            linux::__NR_creat => How::new(O_CREAT | O_WRONLY | O_TRUNC, second as u32)
                .and_then(|how| self.open(memory, AT_FDCWD, first, &how, now)),
            linux::__NR_openat => How::new(third as u32, fourth as u32)
                .and_then(|how| self.open(memory, descriptor, path, &how, now)),
            linux::__NR_openat2 => How::from_memory(memory, third, fourth)
                .and_then(|how| self.open(memory, descriptor, path, &how, now)),
            linux::__NR_stat => self.status(memory, AT_FDCWD, first, second, 0),
            linux::__NR_lstat => self.status(memory, AT_FDCWD, first, second, AT_SYMLINK_NOFOLLOW),
            linux::__NR_newfstatat => self.status(memory, descriptor, path, third, fourth as u32),
            linux::__NR_statx => {
                self.extended_status(memory, descriptor, path, third as u32, fourth as u32, fifth)
            }
            linux::__NR_statfs => self.file_system(memory, first, second),
            linux::__NR_access => self.access(memory, AT_FDCWD, first, second as u32, 0),
            linux::__NR_faccessat => self.access(memory, descriptor, path, third as u32, 0),
            linux::__NR_faccessat2 => {
                self.access(memory, descriptor, path, third as u32, fourth as u32)
            }
            linux::__NR_chmod => self.change_mode(memory, AT_FDCWD, first, second as u32, 0, now),
            linux::__NR_fchmodat => {
                self.change_mode(memory, descriptor, path, third as u32, 0, now)
            }
            linux::__NR_fchmodat2 => {
                self.change_mode(memory, descriptor, path, third as u32, fourth as u32, now)
            }
            linux::__NR_utimensat => {
                self.set_times(memory, descriptor, path, third, fourth as u32, now)
            }
            linux::__NR_truncate => self.truncate(memory, first, second as i64, now),
            linux::__NR_chdir => self.change_directory(memory, here),
            linux::__NR_mkdir => self.make_directory(memory, here, second as u32, now),
            linux::__NR_mkdirat => self.make_directory(memory, there, third as u32, now),
            linux::__NR_unlink => self.remove(memory, here, 0, now),
            linux::__NR_rmdir => self.remove(memory, here, AT_REMOVEDIR, now),
            linux::__NR_unlinkat => self.remove(memory, there, third as u32, now),
            linux::__NR_rename => self.rename(memory, here, (AT_FDCWD, second), 0, now),
            linux::__NR_renameat => self.rename(memory, there, (third as i32, fourth), 0, now),
            linux::__NR_renameat2 => {
                self.rename(memory, there, (third as i32, fourth), fifth as u32, now)
            }
            linux::__NR_link => self.make_link(memory, here, (AT_FDCWD, second), 0, now),
            linux::__NR_linkat => {
                self.make_link(memory, there, (third as i32, fourth), fifth as u32, now)
            }
            linux::__NR_symlink => self.make_symbolic_link(memory, first, (AT_FDCWD, second), now),
            linux::__NR_symlinkat => {
                self.make_symbolic_link(memory, first, (second as i32, third), now)
            }
            linux::__NR_readlink => self.read_link(memory, here, second, third as i32),
            linux::__NR_readlinkat => self.read_link(memory, there, third, fourth as i32),
            _ => return None,
        })
    }
}

/// The offset that means the description's own (`preadv2`, `pwritev2`).
const CURRENT: u64 = u64::MAX;

fn at_or_current(offset: u64, flags: u64) -> Result<Position, Error> {
    match (offset, flags as u32) {
        (CURRENT, 0) => Ok(Position::Current),
        (_, 0) => Ok(Position::At(offset)),
        _ => Err(Error::EOPNOTSUPP),
    }
}
