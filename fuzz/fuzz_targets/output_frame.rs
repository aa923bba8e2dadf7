//! Output frames, as an owner reads them: the host's own, and altered ones.
#![no_main]

use enarx_wire_provision::{Output, OutputReader, OutputWriter, SessionSecret};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let secret = SessionSecret::new([6; 32]);
    let mut reader = OutputReader::new(&secret, 0);
    assert!(reader.open(bytes).is_err());
    assert_eq!(reader.next(), 0);
    let mut frame = OutputWriter::new(&secret)
        .frame(&Output::Stdout(b"text".to_vec()))
        .unwrap();
    for (place, byte) in frame.iter_mut().zip(bytes) {
        *place ^= byte;
    }
    let unchanged = bytes.iter().take(frame.len()).all(|byte| *byte == 0);
    assert_eq!(reader.open(&frame).is_ok(), unchanged);
});
