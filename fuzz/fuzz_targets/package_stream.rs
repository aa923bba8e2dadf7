//! A package that a host has altered: the parts of the input are the text of one, what is then
//! added to its sealed bytes by exclusive or, and how many of them are taken away.
#![no_main]

mod parts;

use enarx_wire_package::{ContentKey, HEADER_SIZE, PackageReader, SealStream};
use parts::part;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let key = ContentKey::new([7; 32]);
    assert!(PackageReader::open(bytes, &key).is_err());
    let mut rest = bytes;
    let mut stream = SealStream::new(Vec::new(), &key, [8; 32]).unwrap();
    stream.write(part(&mut rest)).unwrap();
    let sealed = stream.finish().unwrap();
    let mut altered = sealed.clone();
    for (byte, difference) in altered.iter_mut().zip(part(&mut rest)) {
        *byte ^= difference;
    }
    let taken = part(&mut rest).first_chunk().copied().unwrap_or_default();
    let taken = usize::from(u16::from_le_bytes(taken)).min(sealed.len());
    altered.truncate(sealed.len() - taken);
    assert!(altered == sealed || !is_whole(&altered, &key));
    // A header that is right, and a rest that is the host's own.
    assert!(!is_whole(&[&sealed[..HEADER_SIZE], bytes].concat(), &key));
});

fn is_whole(sealed: &[u8], key: &ContentKey) -> bool {
    let Ok(mut reader) = PackageReader::open(sealed, key) else {
        return false;
    };
    while reader.next_entry().is_some() {
        if reader.copy_entry(&mut std::io::sink()).is_err() {
            return false;
        }
    }
    reader.finish().is_ok()
}
