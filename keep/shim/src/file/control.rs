//! Closing and duplicating descriptors, and what `fcntl` and `ioctl` do with them.

use linux_raw_sys::general::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_APPEND, O_DIRECT,
    O_NOATIME, O_NONBLOCK,
};
use linux_raw_sys::ioctl::{FIOCLEX, FIONBIO};

use super::Files;
use crate::{Error, UserMemory};

/// What `F_SETFL` can change.
const CHANGEABLE_STATUS: u32 = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

impl Files {
    /// Closes a descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::EBADF`] when it is not open.
    pub fn close(&mut self, descriptor: i32) -> Result<u64, Error> {
        let object = self.table.close(descriptor)?;
        self.discard(object);
        Ok(0)
    }

    pub(super) fn control(
        &mut self,
        descriptor: i32,
        command: u32,
        argument: u64,
    ) -> Result<u64, Error> {
        self.table.get(descriptor)?;
        match command {
            F_DUPFD | F_DUPFD_CLOEXEC => {
                let lowest = argument as u32 as usize;
                if lowest >= self.table.limit() {
                    return Err(Error::EINVAL);
                }
                self.table.duplicate(descriptor, lowest)
            }
            F_GETFD => Ok(FD_CLOEXEC.into()),
            F_SETFD => Ok(0),
            F_GETFL => Ok(u64::from(self.table.get(descriptor)?.status)),
            F_SETFL => {
                let status = argument as u32 & CHANGEABLE_STATUS;
                let description = self.table.opened_mut(descriptor)?;
                description.status = description.status & !CHANGEABLE_STATUS | status;
                Ok(0)
            }
            _ => {
                self.table.opened(descriptor)?;
                Err(Error::EINVAL)
            }
        }
    }

    pub(super) fn device_control(
        &mut self,
        memory: &impl UserMemory,
        descriptor: i32,
        request: u32,
        argument: u64,
    ) -> Result<u64, Error> {
        let description = self.table.opened_mut(descriptor)?;
        match request {
            FIOCLEX => {}
            FIONBIO => {
                let set = memory.word(argument)? != 0;
                let flag = if set { O_NONBLOCK } else { 0 };
                description.status = description.status & !O_NONBLOCK | flag;
            }
            _ => return Err(Error::ENOTTY),
        }
        Ok(0)
    }
}
