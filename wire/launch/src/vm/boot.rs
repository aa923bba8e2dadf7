//! The boot page: what the host says before anything of the Keep runs.

use crate::PAGE_SIZE;

/// How the host wants to be spoken to. Not measured, and believed as little as anything that the
/// host says: the worst that a wrong one does is that the Keep does not run.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 2 | 1 if the shim's body runs in ring 3, 0 if in ring 0 |
/// | 2 | 2 | doorbell: 0 memory, 1 port |
/// | 4 | 4 | the runtime's file: 0 in shared memory, 1 in private memory |
///
/// Integers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// Where the shim's body runs.
    pub ring: BodyRing,
    /// How the shim calls.
    pub doorbell: Doorbell,
    /// Where the runtime's file lies.
    pub file: FilePlace,
}

/// The privilege with which the body of the shim runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum BodyRing {
    /// As kernels do, apart from the runtime.
    Supervisor = 0,
    /// As the runtime does, not apart from it: for software KVM, on which code in ring 0 is emulated
    /// instruction by instruction. Refused by a Keep in a TEE.
    User = 1,
}

/// How the shim calls the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Doorbell {
    /// By a write to [`DOORBELL`](super::layout::DOORBELL).
    Memory = 0,
    /// By writes to [`DOORBELL_PORT`](super::layout::DOORBELL_PORT), a byte each; the shim then
    /// waits until the answer is there.
    Port = 1,
}

/// Where the host has put the runtime's file, which is hashed in private memory before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FilePlace {
    /// At [`RUNTIME_FILE`](super::layout::RUNTIME_FILE), from where the shim copies it.
    Shared = 0,
    /// Where the copy would be ([`runtime_copy`](super::layout::runtime_copy)): what is private to a
    /// machine without a TEE, the host can write too.
    Private = 1,
}

impl Boot {
    /// Bytes of the page that are used.
    pub const SIZE: usize = 8;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        page[..2].copy_from_slice(&(self.ring as u16).to_le_bytes());
        page[2..4].copy_from_slice(&(self.doorbell as u16).to_le_bytes());
        page[4..8].copy_from_slice(&(self.file as u32).to_le_bytes());
        page
    }

    /// Reads the used bytes of a page.
    ///
    /// # Errors
    ///
    /// [`BootError`] names a field with a value that does not exist.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, BootError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        Ok(Self {
            ring: match u16::from_le_bytes([a, b]) {
                0 => BodyRing::Supervisor,
                1 => BodyRing::User,
                _ => return Err(BootError::Ring),
            },
            doorbell: match u16::from_le_bytes([c, d]) {
                0 => Doorbell::Memory,
                1 => Doorbell::Port,
                _ => return Err(BootError::Doorbell),
            },
            file: match u32::from_le_bytes([e, f, g, h]) {
                0 => FilePlace::Shared,
                1 => FilePlace::Private,
                _ => return Err(BootError::File),
            },
        })
    }
}

/// What is wrong with a boot page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// A ring that no shim runs in.
    #[error("unknown ring in the boot page")]
    Ring,
    /// A doorbell that does not exist.
    #[error("unknown doorbell in the boot page")]
    Doorbell,
    /// A place for the runtime's file that does not exist.
    #[error("unknown place of the runtime's file in the boot page")]
    File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_survive_the_wire_and_unknown_values_are_refused() {
        let boot = Boot {
            ring: BodyRing::User,
            doorbell: Doorbell::Port,
            file: FilePlace::Private,
        };
        let mut bytes = [0; Boot::SIZE];
        bytes.copy_from_slice(&boot.encode()[..Boot::SIZE]);
        assert_eq!(Boot::decode(bytes), Ok(boot));
        let with = |offset: usize| {
            let mut bytes = bytes;
            bytes[offset] = 2;
            Boot::decode(bytes).unwrap_err()
        };
        assert_eq!(with(0), BootError::Ring);
        assert_eq!(with(2), BootError::Doorbell);
        assert_eq!(with(4), BootError::File);
    }
}
