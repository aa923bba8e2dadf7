//! The digest of a runtime: that of its pieces' digests, so that threads can share the work.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

/// Size of a piece in bytes.
pub const PIECE_SIZE: usize = 64 << 10;

/// SHA-256 of all pieces' SHA-256, one behind the other.
///
/// Each part is cut into pieces of [`PIECE_SIZE`] from its beginning on; the last one is what is left of
/// it. How long the parts are is measured beside the digest, so that no others have the same pieces.
#[derive(Debug)]
pub struct PieceDigests<'a> {
    pieces: Vec<Piece<'a>>,
    /// The first that nobody has begun with.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Piece<'a> {
    bytes: &'a [u8],
    digest: [AtomicU64; 4],
}

impl<'a> PieceDigests<'a> {
    /// Cuts `parts` into pieces.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let pieces = parts.into_iter().flat_map(|part| part.chunks(PIECE_SIZE));
        let pieces = pieces.map(|bytes| Piece {
            bytes,
            digest: Default::default(),
        });
        Self {
            pieces: pieces.collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Hashes pieces until somebody has begun with each of them. Several threads can do so at once.
    pub fn work(&self) {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let digest: [u8; 32] = Sha256::digest(piece.bytes).into();
            for (word, bytes) in piece.digest.iter().zip(digest.as_chunks().0) {
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
        }
    }

    /// The digest, once all threads have done their work.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.work();
        let mut digest = Sha256::new();
        for word in self.pieces.into_iter().flat_map(|piece| piece.digest) {
            digest.update(word.into_inner().to_ne_bytes());
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::vec;

    use super::*;

    fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
        PieceDigests::new(parts.iter().copied()).finish()
    }

    #[test]
    fn the_digest_is_that_of_the_pieces_digests() {
        let bytes: Vec<u8> = (0..3 * PIECE_SIZE as u32 + 5)
            .map(|n| (n >> 3) as u8)
            .collect();
        let (first, second) = bytes.split_at(PIECE_SIZE + 9);
        let pieces = [
            &first[..PIECE_SIZE],
            &first[PIECE_SIZE..],
            &second[..PIECE_SIZE],
            &second[PIECE_SIZE..],
        ];
        let digests: Vec<u8> = pieces.into_iter().flat_map(Sha256::digest).collect();
        assert_eq!(digest_of(&[first, second])[..], Sha256::digest(digests)[..]);
        assert_eq!(digest_of(&[])[..], Sha256::digest(b"")[..]);
    }

    #[test]
    fn every_byte_counts_and_so_does_their_order() {
        let bytes = vec![7; 2 * PIECE_SIZE + 1];
        let digest = digest_of(&[&bytes]);
        for at in [0, PIECE_SIZE - 1, PIECE_SIZE, 2 * PIECE_SIZE] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(digest_of(&[&other]), digest, "{at}");
            if at >= PIECE_SIZE {
                let (first, second) = other.split_at(PIECE_SIZE);
                assert_ne!(digest_of(&[second, first]), digest_of(&[first, second]));
            }
        }
    }

    #[test]
    fn threads_that_share_the_work_come_to_the_same() {
        let bytes = vec![3; 40 * PIECE_SIZE];
        let shared = PieceDigests::new([&bytes[..]]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| shared.work());
            }
        });
        assert_eq!(shared.finish(), digest_of(&[&bytes]));
    }
}
