//! Machine code, in memory or in a file of the cache.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

/// Machine code of a program, as a Keep's runtime loads it. `Debug` does not show it.
pub struct MachineCode(Place);

enum Place {
    Memory(Vec<u8>),
    /// Bytes of a file that nobody changes.
    File {
        file: File,
        start: u64,
        size: u64,
    },
}

impl MachineCode {
    /// The `size` bytes of `file` from `start` on.
    pub(crate) const fn in_file(file: File, start: u64, size: u64) -> Self {
        Self(Place::File { file, start, size })
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match &self.0 {
            Place::Memory(bytes) => bytes.len() as u64,
            Place::File { size, .. } => *size,
        }
    }

    /// Gives all of its bytes, from the first one on.
    #[must_use]
    pub const fn reader(&self) -> MachineCodeReader<'_> {
        MachineCodeReader {
            code: self,
            position: 0,
        }
    }
}

impl From<Vec<u8>> for MachineCode {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Place::Memory(bytes))
    }
}

impl fmt::Debug for MachineCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MachineCode({} bytes)", self.size())
    }
}

/// Reads [`MachineCode`].
#[derive(Debug)]
pub struct MachineCodeReader<'a> {
    code: &'a MachineCode,
    position: u64,
}

impl Read for MachineCodeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.code.size() - self.position;
        let limit = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..limit];
        let count = match &self.code.0 {
            Place::Memory(bytes) => {
                let position = usize::try_from(self.position).map_err(io::Error::other)?;
                (&bytes[position..]).read(buffer)?
            }
            Place::File { file, start, .. } => file.read_at(buffer, start + self.position)?,
        };
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn both_places_give_the_same_as_often_as_wanted() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"headercodetrailer").unwrap();
        let codes = [
            MachineCode::from(b"code".to_vec()),
            MachineCode::in_file(file, 6, 4),
        ];
        for code in codes {
            assert_eq!(code.size(), 4);
            for _ in 0..2 {
                let mut bytes = Vec::new();
                code.reader().read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes, b"code");
            }
            assert_eq!(format!("{code:?}"), "MachineCode(4 bytes)");
        }
    }
}
