//! The cipher alone: AES-256-GCM over one buffer, again and again.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{Context, SHA384},
};
use enarx_wire_package::{CHUNK_SIZE, TAG_SIZE};

/// One key, one buffer of the size of a package's chunks, and sealed chunks to open.
pub struct Cipher {
    key: LessSafeKey,
    text: Vec<u8>,
    sealed: Vec<u8>,
}

impl Cipher {
    /// A cipher with `size` sealed bytes to open, in whole chunks.
    pub fn new(size: u64) -> anyhow::Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32])?;
        let key = LessSafeKey::new(key);
        let chunks = usize::try_from(size)?.div_ceil(CHUNK_SIZE);
        let mut sealed = vec![0; chunks * SEALED_CHUNK];
        for (position, chunk) in sealed.chunks_mut(SEALED_CHUNK).enumerate() {
            let (text, tag) = chunk.split_at_mut(CHUNK_SIZE);
            let nonce = nonce(position as u64);
            let computed = key.seal_in_place_separate_tag(nonce, Aad::empty(), text)?;
            tag.copy_from_slice(computed.as_ref());
        }
        Ok(Self {
            key,
            text: vec![0; CHUNK_SIZE],
            sealed,
        })
    }

    /// Seals `size` bytes, with the digest of the whole if asked.
    ///
    /// # Errors
    ///
    /// None that a caller could cause.
    pub fn seal(&mut self, size: u64, digests: bool) -> anyhow::Result<()> {
        let mut digest = digests.then(|| Context::new(&SHA384));
        for chunk in 0..size / CHUNK_SIZE as u64 {
            if let Some(digest) = &mut digest {
                digest.update(&self.text);
            }
            let tag =
                self.key
                    .seal_in_place_separate_tag(nonce(chunk), Aad::empty(), &mut self.text)?;
            let _ = std::hint::black_box(tag);
        }
        std::hint::black_box(digest.map(Context::finish));
        Ok(())
    }

    /// Opens all sealed chunks, one after the other, where they lie in memory; with the
    /// digest of the whole if asked.
    ///
    /// # Errors
    ///
    /// None that a caller could cause.
    pub fn open_all(&mut self, digests: bool) -> anyhow::Result<()> {
        self.open(digests, self.sealed.len() / SEALED_CHUNK, |chunk| chunk)
    }

    /// Opens the first sealed chunk, which stays in the cache, as often as there are
    /// chunks.
    ///
    /// # Errors
    ///
    /// None that a caller could cause.
    pub fn open_one(&mut self, digests: bool) -> anyhow::Result<()> {
        self.open(digests, self.sealed.len() / SEALED_CHUNK, |_| 0)
    }

    fn open(
        &mut self,
        digests: bool,
        chunks: usize,
        which: impl Fn(usize) -> usize,
    ) -> anyhow::Result<()> {
        let mut digest = digests.then(|| Context::new(&SHA384));
        for position in 0..chunks {
            let position = which(position);
            let chunk = &self.sealed[position * SEALED_CHUNK..][..SEALED_CHUNK];
            let (text, tag) = chunk.split_at(CHUNK_SIZE);
            let nonce = nonce(position as u64);
            self.key
                .open_separate_gather(nonce, Aad::empty(), text, tag, &mut self.text)?;
            if let Some(digest) = &mut digest {
                digest.update(&self.text);
            }
        }
        std::hint::black_box(digest.map(Context::finish));
        Ok(())
    }
}

const SEALED_CHUNK: usize = CHUNK_SIZE + TAG_SIZE;

/// A nonce for each chunk; that the key is used again is of no matter here.
fn nonce(chunk: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&chunk.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
