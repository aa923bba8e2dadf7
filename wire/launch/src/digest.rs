//! The SEV-SNP launch digest.
//!
//! SEV Secure Nested Paging Firmware ABI Specification (AMD #56860), section
//! 8.17.2 "Launch Digest" and table "PAGE_INFO": each launch update folds one
//! structure of 112 bytes into a running SHA-384.

use sha2::{Digest as _, Sha384};

use crate::Digest;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// One page as the launch measures it.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredPage<'a> {
    /// Guest physical address, a multiple of [`PAGE_SIZE`].
    pub guest_address: u64,
    /// What the page is, with its contents if they are measured.
    pub kind: PageKind<'a>,
}

/// The page types of `SNP_LAUNCH_UPDATE` (AMD #56860, table "PAGE_TYPE").
#[derive(Debug, Clone, Copy)]
pub enum PageKind<'a> {
    /// Contents measured.
    Normal(&'a [u8; PAGE_SIZE]),
    /// A virtual CPU's save area, contents measured.
    SaveArea(&'a [u8; PAGE_SIZE]),
    /// Zeroed by the firmware.
    Zero,
    /// Contents left out of the measurement.
    Unmeasured,
    /// Filled by the firmware with the guest's secrets.
    Secrets,
    /// The CPUID table, checked by the firmware and not measured.
    Cpuid,
}

/// The launch digest over `pages`, in launch order.
pub fn snp_launch_digest<'a>(pages: impl IntoIterator<Item = MeasuredPage<'a>>) -> Digest {
    pages.into_iter().fold([0; 48], |current, page| {
        let (code, contents) = match page.kind {
            PageKind::Normal(contents) => (1, Some(contents)),
            PageKind::SaveArea(contents) => (2, Some(contents)),
            PageKind::Zero => (3, None),
            PageKind::Unmeasured => (4, None),
            PageKind::Secrets => (5, None),
            PageKind::Cpuid => (6, None),
        };
        let mut info = [0; PAGE_INFO_SIZE];
        info[..0x30].copy_from_slice(&current);
        if let Some(contents) = contents {
            info[0x30..0x60].copy_from_slice(&Sha384::digest(contents));
        }
        info[0x60..0x62].copy_from_slice(&PAGE_INFO_LENGTH.to_le_bytes());
        info[0x62] = code;
        // 0x63 IMI_PAGE and 0x64..0x67 the VMPL permissions stay zero.
        info[0x68..].copy_from_slice(&page.guest_address.to_le_bytes());
        Sha384::digest(info).into()
    })
}

const PAGE_INFO_SIZE: usize = 0x70;
const PAGE_INFO_LENGTH: u16 = 0x70;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_kind_address_and_order_count() {
        let zeros = [0; PAGE_SIZE];
        let ones = [1; PAGE_SIZE];
        let page = |guest_address, kind| MeasuredPage {
            guest_address,
            kind,
        };
        let lists = [
            [
                page(0, PageKind::Normal(&zeros)),
                page(4096, PageKind::Zero),
            ],
            [page(0, PageKind::Normal(&ones)), page(4096, PageKind::Zero)],
            [
                page(4096, PageKind::Zero),
                page(0, PageKind::Normal(&zeros)),
            ],
            [
                page(0, PageKind::Normal(&zeros)),
                page(8192, PageKind::Zero),
            ],
            [
                page(0, PageKind::Normal(&zeros)),
                page(4096, PageKind::Cpuid),
            ],
            [
                page(0, PageKind::SaveArea(&zeros)),
                page(4096, PageKind::Zero),
            ],
        ];
        let digests = lists.map(snp_launch_digest);
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "list {index}");
        }
    }

    #[test]
    fn one_page_is_the_hash_of_its_page_info() {
        let contents = [7; PAGE_SIZE];
        let mut expected = Sha384::new();
        expected.update([0; 48]);
        expected.update(Sha384::digest(contents));
        expected.update([0x70, 0, 1, 0, 0, 0, 0, 0]);
        expected.update(0x1234_5000u64.to_le_bytes());
        let digest = snp_launch_digest([MeasuredPage {
            guest_address: 0x1234_5000,
            kind: PageKind::Normal(&contents),
        }]);
        assert_eq!(digest, <Digest>::from(expected.finalize()));
    }
}
