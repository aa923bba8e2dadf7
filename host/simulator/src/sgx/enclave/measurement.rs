//! MRENCLAVE: the running digest of an enclave's construction.

use aws_lc_rs::digest;

/// What EEXTEND measures at once, in bytes.
pub(super) const CHUNK_SIZE: usize = 256;

/// MRENCLAVE before EINIT (SDM volume 3D, 37.4: each record is 64 bytes).
pub(super) struct Measurement(digest::Context);

impl Measurement {
    pub(super) fn of_creation(ssa_frame_pages: u32, size: u64) -> Self {
        let mut record = [0; 64];
        record[..8].copy_from_slice(b"ECREATE\0");
        record[8..12].copy_from_slice(&ssa_frame_pages.to_le_bytes());
        record[12..20].copy_from_slice(&size.to_le_bytes());
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&record);
        Self(context)
    }

    /// EADD measures the offset and the first 48 bytes of SECINFO.
    pub(super) fn add(&mut self, offset: u64, secinfo_flags: u64) {
        let mut record = [0; 64];
        record[..8].copy_from_slice(b"EADD\0\0\0\0");
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        record[16..24].copy_from_slice(&secinfo_flags.to_le_bytes());
        self.0.update(&record);
    }

    pub(super) fn extend(&mut self, offset: u64, chunk: &[u8; CHUNK_SIZE]) {
        let mut record = [0; 64];
        record[..8].copy_from_slice(b"EEXTEND\0");
        record[8..16].copy_from_slice(&offset.to_le_bytes());
        self.0.update(&record);
        self.0.update(chunk);
    }

    pub(super) fn finish(self) -> [u8; 32] {
        let mut mrenclave = [0; 32];
        mrenclave.copy_from_slice(self.0.finish().as_ref());
        mrenclave
    }
}
