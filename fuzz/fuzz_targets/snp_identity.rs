//! Signed identities of SEV-SNP machines: the input, and an identity that begins with it.
#![no_main]

use enarx_wire_launch::SnpSignedIdentity;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = SnpSignedIdentity::decode(bytes);
    let mut whole = [0; SnpSignedIdentity::SIZE];
    let size = bytes.len().min(whole.len());
    whole[..size].copy_from_slice(&bytes[..size]);
    if let Ok(decoded) = SnpSignedIdentity::decode(&whole) {
        assert_eq!(decoded.encode(), whole);
    }
});
