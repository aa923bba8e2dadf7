//! The launch measurement of TDX, and its registers.
//!
//! Intel Trust Domain Extensions Module Architecture Specification: Application Binary
//! Interface Reference, functions `TDH.MEM.PAGE.ADD` and `TDH.MR.EXTEND`: each folds blocks of
//! 128 bytes into a running SHA-384, which `TDH.MR.FINALIZE` ends.

use sha2::{Digest as _, Sha384};

use crate::{Digest, PAGE_SIZE};

/// One page as it is added to a trust domain before that runs.
#[derive(Debug, Clone, Copy)]
pub struct AddedPage<'a> {
    /// Guest physical address, a multiple of [`PAGE_SIZE`].
    pub guest_address: u64,
    /// The contents, if they are measured; that the page is there is measured anyway.
    pub contents: Option<&'a [u8; PAGE_SIZE]>,
}

/// MRTD, the launch measurement over `pages`: each is added, and then extended with, before the
/// next one.
pub fn tdx_launch_digest<'a>(pages: impl IntoIterator<Item = AddedPage<'a>>) -> Digest {
    let mut measurement = Sha384::new();
    for page in pages {
        measurement.update(block("MEM.PAGE.ADD", page.guest_address));
        let Some(contents) = page.contents else {
            continue;
        };
        for (chunk, address) in contents
            .chunks_exact(CHUNK_SIZE)
            .zip((page.guest_address..).step_by(CHUNK_SIZE))
        {
            measurement.update(block("MR.EXTEND", address));
            measurement.update(chunk);
        }
    }
    measurement.finalize().into()
}

/// What a register (RTMR) holds after `TDG.MR.RTMR.EXTEND` by `event`; it starts with zeros.
#[must_use]
pub fn tdx_extended(register: &Digest, event: &Digest) -> Digest {
    Sha384::new()
        .chain_update(register)
        .chain_update(event)
        .finalize()
        .into()
}

/// Bytes that one `TDH.MR.EXTEND` measures.
const CHUNK_SIZE: usize = 256;

/// What a function folds in beside contents: its name, and an address.
fn block(function: &str, address: u64) -> [u8; 128] {
    let mut block = [0; 128];
    block[..function.len()].copy_from_slice(function.as_bytes());
    block[16..24].copy_from_slice(&address.to_le_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_address_order_and_whether_it_is_measured_count() {
        let (zeros, mut ones) = ([0; PAGE_SIZE], [0; PAGE_SIZE]);
        ones[PAGE_SIZE - 1] = 1;
        let page = |guest_address, contents| AddedPage {
            guest_address,
            contents,
        };
        let lists = [
            [page(0, Some(&zeros)), page(4096, Some(&ones))],
            [page(0, Some(&zeros)), page(4096, Some(&zeros))],
            [page(4096, Some(&ones)), page(0, Some(&zeros))],
            [page(0, Some(&zeros)), page(8192, Some(&ones))],
            [page(0, Some(&zeros)), page(4096, None)],
        ];
        let digests = lists.map(tdx_launch_digest);
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "list {index}");
        }
    }
}
