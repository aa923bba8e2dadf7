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
    let mut in_place = PackageReader::open(&sealed[..], &key).unwrap();
    while let Some(entry) = reader.next_entry() {
        let size = entry.size;
        let mut copied = Vec::new();
        let is_whole = reader.copy_entry(&mut copied).is_ok();
        // An entry that is larger than the text cannot be whole.
        let mut filled = vec![0; bytes.len().min(size as usize)];
        assert_eq!(in_place.fill_entry(&mut filled).is_ok(), is_whole);
        if !is_whole {
            assert!(reader.finish().is_err() && in_place.finish().is_err());
            return;
        }
        assert_eq!(filled, copied);
    }
    assert_eq!(reader.finish().is_ok(), in_place.finish().is_ok());
});
