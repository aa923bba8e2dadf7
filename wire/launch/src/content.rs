//! What pages that lie one behind the other contain.

use alloc::boxed::Box;

use crate::PAGE_SIZE;

/// The contents of pages that lie one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// `bytes` from `lead` of the first page on, and zeros around them.
    Bytes {
        /// The bytes.
        bytes: &'a [u8],
        /// Zeros before them, less than a page.
        lead: usize,
    },
    /// One page.
    Page(Box<[u8; PAGE_SIZE]>),
    /// Zeros.
    Zeros,
}

impl Content<'_> {
    /// The contents of page `index`.
    #[must_use]
    pub fn page(&self, index: u64) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        match self {
            Content::Zeros => {}
            Content::Page(contents) => page = **contents,
            Content::Bytes { bytes, lead } => {
                let start = (index as usize).saturating_mul(PAGE_SIZE);
                let into = if index == 0 { *lead } else { 0 };
                let from = (start + into).saturating_sub(*lead).min(bytes.len());
                let count = (PAGE_SIZE - into).min(bytes.len() - from);
                page[into..into + count].copy_from_slice(&bytes[from..from + count]);
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn contents_lie_where_they_should_whatever_the_lead() {
        let bytes: Vec<u8> = (0..9000u32).map(|n| (n % 251) as u8).collect();
        for lead in [0, 1, 100, 4095] {
            let content = Content::Bytes {
                bytes: &bytes,
                lead,
            };
            let laid: Vec<u8> = (0..5).flat_map(|index| content.page(index)).collect();
            assert!(laid[..lead].iter().all(|byte| *byte == 0));
            assert_eq!(laid[lead..lead + bytes.len()], bytes);
            assert!(laid[lead + bytes.len()..].iter().all(|byte| *byte == 0));
        }
    }
}
