//! A package that was sealed with the right key around any text.
#![no_main]

use enarx_wire_package::{ContentKey, PackageReader, SealStream};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = ContentKey::new([7; 32]);
    let mut stream = SealStream::new(Vec::new(), &key, [8; 32]).unwrap();
    stream.write(bytes).unwrap();
    let sealed = stream.finish().unwrap();
    let Ok(mut reader) = PackageReader::open(&sealed[..], &key) else {
        return;
    };
    while reader.next_entry().is_some() {
        if reader.copy_entry(&mut std::io::sink()).is_err() {
            assert!(reader.finish().is_err());
            return;
        }
    }
    let _ = reader.finish();
});
