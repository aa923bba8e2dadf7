//! Frames in a streamed body: however the body is cut, the frames are the same.
#![no_main]

use enarx_wire_host_api::frame::{FrameDecoder, FrameError};

/// Decodes `body` in pieces of `size`; gives the frames and how it ended.
fn decode(body: &[u8], size: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for mut piece in body.chunks(size) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, decoder.finish())
}

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = input;
    let whole = decode(body, body.len().max(1));
    assert_eq!(decode(body, usize::from(size) + 1), whole);
});
