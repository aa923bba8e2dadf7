//! Session frames in a streamed body.
//!
//! A body is any number of frames, each a length (4 bytes, little-endian, from 1
//! to [`MAX_FRAME_BYTES`]) and that many bytes. A body ends after a whole frame.

use crate::MAX_FRAME_BYTES;

/// Size in bytes of the length before each frame.
pub const LENGTH_SIZE: usize = 4;

/// The bytes that go before `frame` in a body.
///
/// # Errors
///
/// [`FrameError::Empty`] or [`FrameError::TooLong`].
pub fn encode_frame(frame: &[u8]) -> Result<[u8; LENGTH_SIZE], FrameError> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    checked_length(length).map(|_| length.to_le_bytes())
}

/// Takes frames out of a body that arrives in pieces of any size.
///
/// It holds at most one frame, and only as many bytes as have arrived.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    length: [u8; LENGTH_SIZE],
    length_read: usize,
    frame: Vec<u8>,
}

impl FrameDecoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` until a frame is whole, and returns
    /// it; `None` when `input` is used up before.
    ///
    /// # Errors
    ///
    /// [`FrameError::Empty`] or [`FrameError::TooLong`]; the body cannot be read
    /// any further then.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let (now, rest) = input.split_at(input.len().min(LENGTH_SIZE - self.length_read));
        self.length[self.length_read..self.length_read + now.len()].copy_from_slice(now);
        self.length_read += now.len();
        *input = rest;
        if self.length_read < LENGTH_SIZE {
            return Ok(None);
        }

        let length = checked_length(u32::from_le_bytes(self.length))?;
        let (now, rest) = input.split_at(input.len().min(length - self.frame.len()));
        self.frame.extend_from_slice(now);
        *input = rest;
        if self.frame.len() < length {
            return Ok(None);
        }
        self.length_read = 0;
        Ok(Some(std::mem::take(&mut self.frame)))
    }

    /// Says whether a body may end here.
    ///
    /// # Errors
    ///
    /// [`FrameError::Truncated`] in the middle of a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.length_read == 0 {
            Ok(())
        } else {
            Err(FrameError::Truncated)
        }
    }
}

/// What is wrong with a body of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame has no bytes.
    #[error("a frame is empty")]
    Empty,
    /// A frame is longer than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(u32),
    /// The body ends in the middle of a frame.
    #[error("the body ends in the middle of a frame")]
    Truncated,
}

fn checked_length(length: u32) -> Result<usize, FrameError> {
    match length as usize {
        0 => Err(FrameError::Empty),
        bytes if bytes <= MAX_FRAME_BYTES => Ok(bytes),
        _ => Err(FrameError::TooLong(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frames: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for frame in frames {
            body.extend(encode_frame(frame).unwrap());
            body.extend(*frame);
        }
        body
    }

    #[test]
    fn frames_survive_every_cut() {
        let frames: [&[u8]; 4] = [b"a", b"bcd", &[7; 300], b"e"];
        let body = body(&frames);
        for size in 1..=body.len() {
            let mut decoder = FrameDecoder::new();
            let mut decoded = Vec::new();
            for mut piece in body.chunks(size) {
                while let Some(frame) = decoder.decode(&mut piece).unwrap() {
                    decoded.push(frame);
                }
                assert!(piece.is_empty());
            }
            decoder.finish().unwrap();
            assert_eq!(decoded, frames);
        }
    }

    #[test]
    fn every_truncation_is_seen() {
        let body = body(&[b"abc"]);
        for length in 1..body.len() {
            let mut decoder = FrameDecoder::new();
            assert_eq!(decoder.decode(&mut &body[..length]), Ok(None));
            assert_eq!(decoder.finish(), Err(FrameError::Truncated));
        }
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_held() {
        let over = MAX_FRAME_BYTES as u32 + 1;
        for (length, error) in [
            (0, FrameError::Empty),
            (over, FrameError::TooLong(over)),
            (u32::MAX, FrameError::TooLong(u32::MAX)),
        ] {
            let mut decoder = FrameDecoder::new();
            assert_eq!(
                decoder.decode(&mut length.to_le_bytes().as_slice()),
                Err(error)
            );
            // A caller that goes on in spite of the error gets the same error.
            assert_eq!(decoder.decode(&mut [1, 2, 3].as_slice()), Err(error));
        }
        let full = vec![1; MAX_FRAME_BYTES];
        let whole = body(&[&full]);
        assert_eq!(
            FrameDecoder::new().decode(&mut whole.as_slice()),
            Ok(Some(full))
        );
        assert_eq!(encode_frame(&[]), Err(FrameError::Empty));
        let long = vec![0; MAX_FRAME_BYTES + 1];
        assert_eq!(encode_frame(&long), Err(FrameError::TooLong(over)));
    }
}
