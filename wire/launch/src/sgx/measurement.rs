//! MRENCLAVE: the SHA-256 over how an enclave was made.
//!
//! SDM, "ECREATE", "EADD", "EEXTEND", operation: each folds records of 64 bytes in; EEXTEND
//! also 256 bytes of the page.

use sha2::{Digest as _, Sha256};

use super::{SecInfo, layout::ENCLAVE_SIZE, structures::SSA_FRAME_PAGES};
use crate::PAGE_SIZE;

/// The measurement of an enclave.
pub type MrEnclave = [u8; 32];

/// The running measurement of an enclave that is being made.
#[derive(Clone)]
pub struct Measurement(Sha256);

impl Measurement {
    /// After ECREATE.
    #[must_use]
    pub fn create() -> Self {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(b"ECREATE\0");
        record[8..12].copy_from_slice(&SSA_FRAME_PAGES.to_le_bytes());
        record[12..20].copy_from_slice(&ENCLAVE_SIZE.to_le_bytes());
        Self(Sha256::new_with_prefix(record))
    }

    /// EADD of a page at `offset`.
    pub fn add(&mut self, offset: u64, info: SecInfo) {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(b"EADD\0\0\0\0");
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        record[16..64].copy_from_slice(&info.encode()[..48]);
        self.0.update(record);
    }

    /// EEXTEND of all of the page at `offset`.
    pub fn extend(&mut self, offset: u64, contents: &[u8; PAGE_SIZE]) {
        for (index, chunk) in contents.chunks(CHUNK).enumerate() {
            let mut record = [0; RECORD];
            record[..8].copy_from_slice(b"EEXTEND\0");
            record[8..16].copy_from_slice(&(offset + (index * CHUNK) as u64).to_le_bytes());
            self.0.update(record);
            self.0.update(chunk);
        }
    }

    /// What EINIT leaves in SECS.
    #[must_use]
    pub fn finish(self) -> MrEnclave {
        self.0.finalize().into()
    }
}

const RECORD: usize = 64;
const CHUNK: usize = 256;
