//! AES-256-GCM over numbered frames.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::SessionError;

/// Bytes of authentication tag in a frame.
pub(super) const TAG_SIZE: usize = 16;

/// One direction's key, with the nonces of TLS 1.3 (RFC 8446 section 5.3): the
/// frame's number, XORed into a secret IV.
pub(super) struct FrameCipher {
    key: LessSafeKey,
    iv: [u8; 12],
}

impl FrameCipher {
    pub(super) fn new(key: &[u8], iv: &[u8]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the caller cuts 32 bytes");
        let mut fixed = [0; 12];
        fixed.copy_from_slice(iv);
        Self {
            key: LessSafeKey::new(key),
            iv: fixed,
        }
    }

    /// Gives `header`, and the ciphertext of `kind` and `payload` behind it.
    pub(super) fn seal(
        &self,
        number: u64,
        header: &[u8],
        kind: u8,
        payload: &[u8],
    ) -> Result<Vec<u8>, SessionError> {
        let start = header.len();
        let mut frame = Vec::with_capacity(start + 1 + payload.len() + TAG_SIZE);
        frame.extend_from_slice(header);
        frame.push(kind);
        frame.extend_from_slice(payload);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(number), Aad::from(header), &mut frame[start..])
            .map_err(|_| SessionError::Exhausted)?;
        frame.extend_from_slice(tag.as_ref());
        Ok(frame)
    }

    /// Opens what [`FrameCipher::seal`] put behind `header`; gives kind and payload.
    pub(super) fn open(
        &self,
        number: u64,
        header: &[u8],
        ciphertext: &[u8],
    ) -> Result<(u8, Vec<u8>), SessionError> {
        let mut text = ciphertext.to_vec();
        let length = self
            .key
            .open_in_place(self.nonce(number), Aad::from(header), &mut text)
            .map_err(|_| SessionError::Altered(number))?
            .len();
        text.truncate(length);
        match text.first().copied() {
            Some(kind) => {
                text.remove(0);
                Ok((kind, text))
            }
            None => Err(SessionError::Size(0)),
        }
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Reads the big-endian number at the start of `bytes`.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}
