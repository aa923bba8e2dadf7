//! A whole package whose header and key are right and whose rest is the host's.
#![no_main]

use enarx_wire_package::{ContentKey, HEADER_SIZE, PackageReader, SealStream};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = ContentKey::new([7; 32]);
    assert!(PackageReader::open(bytes, &key).is_err());
    let sealed = SealStream::new(Vec::new(), &key, [8; 32])
        .and_then(SealStream::finish)
        .unwrap();
    let forged = [&sealed[..HEADER_SIZE], bytes].concat();
    assert!(PackageReader::open(&forged[..], &key).is_err());
});
