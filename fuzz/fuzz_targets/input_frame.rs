//! Input frames, as a Keep reads them: the host's own, and altered ones.
#![no_main]

use enarx_wire_provision::{Input, InputReader, InputWriter, SessionSecret};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let secret = SessionSecret::new([6; 32]);
    let mut reader = InputReader::new(&secret);
    assert!(reader.open(bytes).is_err());
    let mut writer = InputWriter::new(&secret, 1, [2; 16]);
    let mut frame = writer.frame(&Input::Stdin(b"text".to_vec())).unwrap();
    for (place, byte) in frame.iter_mut().zip(bytes) {
        *place ^= byte;
    }
    let unchanged = bytes.iter().take(frame.len()).all(|byte| *byte == 0);
    assert_eq!(reader.open(&frame).is_ok(), unchanged);
});
