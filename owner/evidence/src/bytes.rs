//! Reading of binary structures, never past their end.

/// The input ends before the structure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

/// The bytes not read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A little-endian number.
    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian number.
    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    /// A part with its size in front, a little-endian 32-bit number.
    pub(crate) fn sized(&mut self) -> Result<Self, Truncated> {
        let size = self.u32()?;
        self.take(usize::try_from(size).map_err(|_| Truncated)?)
            .map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut bytes = Bytes(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(bytes.u16(), Ok(0x0201));
        assert_eq!(bytes.u32(), Ok(0x0605_0403));
        assert_eq!(bytes.array::<2>(), Err(Truncated));
        assert_eq!(bytes.take(1), Ok(&[7][..]));
        assert!(bytes.is_empty());
        assert_eq!(bytes.take(1), Err(Truncated));
    }

    #[test]
    fn a_size_that_lies_is_found_out() {
        assert_eq!(
            Bytes(&[2, 0, 0, 0, 9, 9]).sized().map(|part| part.0),
            Ok(&[9, 9][..])
        );
        assert!(Bytes(&[3, 0, 0, 0, 9, 9]).sized().is_err());
        assert!(Bytes(&[0xff; 6]).sized().is_err());
    }
}
