//! Files that exist only inside the Keep.

use crate::{Error, UserMemory};
use linux_raw_sys::general::*;

/// x
pub struct Files {
    flags: u32,
}
/// x
pub struct Limits {
    /// x
    pub open_files: usize,
    /// x
    pub bytes: u64,
}
/// x
pub enum Object {
    /// x
    Null,
    /// x
    Diagnostics,
    /// x
    Channel,
    /// x
    Attestation,
}
/// x
pub struct Description(Object, u32);
impl Description {
    /// x
    pub fn object(&self) -> &Object {
        &self.0
    }
    /// x
    pub fn flags(&self) -> u32 {
        self.1
    }
}
/// x
pub struct Readiness {
    /// x
    pub read: bool,
    /// x
    pub write: bool,
}
impl Files {
    /// x
    pub fn new(_: Limits) -> Self {
        Self { flags: 0 }
    }
    /// x
    pub fn descriptor(&self, fd: i32) -> Result<Description, Error> {
        Ok(match fd {
            0 | 1 => Description(Object::Null, 0),
            2 => Description(Object::Diagnostics, 0),
            3 => Description(Object::Channel, self.flags),
            4 => Description(Object::Attestation, 0),
            _ => return Err(Error::EBADF),
        })
    }
    /// x
    pub fn poll_events(&self, _: i32) -> Result<Readiness, Error> {
        Ok(Readiness {
            read: true,
            write: true,
        })
    }
    /// x
    pub fn call(
        &mut self,
        _: &impl UserMemory,
        number: u64,
        a: [u64; 6],
        _: u64,
    ) -> Option<Result<u64, Error>> {
        match number as u32 {
            __NR_fcntl => Some(match a[1] as u32 {
                F_GETFD => Ok(0),
                F_GETFL => Ok((self.flags | 2).into()),
                F_SETFL => {
                    self.flags = a[2] as u32;
                    Ok(0)
                }
                _ => Err(Error::EINVAL),
            }),
            __NR_openat | __NR_readlink | __NR_newfstatat | __NR_mkdir => Some(Err(Error::ENOENT)),
            __NR_close => Some(Ok(0)),
            _ => None,
        }
    }
}
