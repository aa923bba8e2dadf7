//! Error numbers.

use linux_raw_sys::errno;

/// An error number of Linux, as a system call answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error(u16);

/// Named constants for the numbers that are used.
macro_rules! numbers {
    ($($name:ident)*) => {
        impl Error {
            $(#[doc = concat!("`", stringify!($name), "`")]
            pub const $name: Self = Self(errno::$name as u16);)*
        }
    };
}

numbers! {
    EPERM ENOENT EIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
    EINVAL EMFILE ENOTTY EFBIG ENOSPC ESPIPE EPIPE ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP EOPNOTSUPP
    ETIMEDOUT ENOTSOCK E2BIG EAFNOSUPPORT EMSGSIZE EPROTONOSUPPORT ESOCKTNOSUPPORT ENOPROTOOPT
}

impl Error {
    /// What a system call returns for it.
    #[must_use]
    pub const fn as_result(self) -> i64 {
        -(self.0 as i64)
    }

    /// The error of a host's answer, which lies between -4095 and -1.
    #[must_use]
    pub fn from_answer(answer: i64) -> Self {
        debug_assert!((-4095..0).contains(&answer));
        Self(answer.unsigned_abs() as u16)
    }
}
