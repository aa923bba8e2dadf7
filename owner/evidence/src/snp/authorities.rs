//! AMD's certificate authorities.

/// The certificates of AMD's roots and of the authorities below them, in DER, as its Key
/// Distribution Service publishes them (AMD #57230, `/vcek/v1/{product}/cert_chain` and
/// `/vlek/v1/{product}/cert_chain`).
///
/// They are here so that a report can be verified without being given them. Being here
/// makes none of them trusted: they are verified like any, and [`AMD_ROOTS`](super::AMD_ROOTS)
/// are the anchors.
pub const AMD_AUTHORITIES: [&[u8]; 9] = [
    include_bytes!("authorities/milan-ark.der"),
    include_bytes!("authorities/milan-ask.der"),
    include_bytes!("authorities/milan-asvk.der"),
    include_bytes!("authorities/genoa-ark.der"),
    include_bytes!("authorities/genoa-ask.der"),
    include_bytes!("authorities/genoa-asvk.der"),
    include_bytes!("authorities/turin-ark.der"),
    include_bytes!("authorities/turin-ask.der"),
    include_bytes!("authorities/turin-asvk.der"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        snp::AMD_ROOTS,
        x509::{Certificate, Vendor},
    };

    #[test]
    fn each_authority_leads_to_a_root_that_is_an_anchor() {
        for chain in AMD_AUTHORITIES.chunks(3) {
            let [root, below @ ..] = chain else {
                panic!("three for each product");
            };
            let root = Certificate::parse(root, Vendor::RsaPss).unwrap();
            root.check_issued_by(&root).unwrap();
            let digest = root.key_digest().unwrap();
            assert!(AMD_ROOTS.iter().any(|anchor| anchor.key_digest == digest));
            for authority in below {
                let authority = Certificate::parse(authority, Vendor::RsaPss).unwrap();
                authority.check_issued_by(&root).unwrap();
                authority.check_authority(0).unwrap();
            }
        }
    }
}
