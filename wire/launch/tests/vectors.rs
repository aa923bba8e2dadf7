//! Launch digests against those of another implementation.
//!
//! `tests/python/read_launch_vectors.py` computes the same vectors, those of SEV-SNP with the
//! package `sev-snp-measure`.

use enarx_wire_launch::{
    AddedPage, MeasuredPage, PAGE_SIZE, PageKind, SAVE_AREA_ADDRESS, SaveArea, SnpIdentity, SnpKey,
    snp_launch_digest, snp_named_signature, snp_signature, tdx_extended, tdx_launch_digest,
    vm::SnpProcessors,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha384};

#[derive(Deserialize)]
struct Vectors {
    save_areas: Vec<Start>,
    launches: Vec<Launch>,
    processors: Vec<Processor>,
    identities: Vec<Identity>,
    trust_domains: Vec<TrustDomain>,
    registers: Vec<Register>,
}

/// A virtual CPU, and the SHA-384 of its save area.
#[derive(Deserialize)]
struct Start {
    monitor: String,
    instruction_pointer: u32,
    signature: u32,
    features: u64,
    /// Which one it is of a Keep's machine.
    #[serde(default)]
    index: u32,
    sha384: String,
}

#[derive(Deserialize)]
struct Processor {
    name: String,
    family: u32,
    model: u32,
    stepping: u32,
    signature: u32,
}

#[derive(Deserialize)]
struct Identity {
    measurement: String,
    family: String,
    image: String,
    security_version: u32,
    policy: u64,
    block: String,
    x: String,
    y: String,
    key_digest: String,
}

#[derive(Deserialize)]
struct Launch {
    pages: Vec<Page>,
    digest: String,
}

#[derive(Deserialize)]
struct Page {
    kind: String,
    #[serde(default)]
    address: u64,
    /// The byte that the page is filled with.
    #[serde(default)]
    fill: u8,
    /// Which of the save areas it is.
    #[serde(default)]
    save_area: usize,
}

#[derive(Deserialize)]
struct TrustDomain {
    pages: Vec<Added>,
    digest: String,
}

#[derive(Deserialize)]
struct Added {
    address: u64,
    /// The first byte; the others count up from it, modulo 251.
    fill: usize,
    measured: bool,
}

#[derive(Deserialize)]
struct Register {
    events: Vec<String>,
    value: String,
}

impl Start {
    fn save_area(&self) -> SaveArea {
        let mut area = SaveArea::at_reset(self.instruction_pointer, self.signature, self.features);
        // How these monitors differ from QEMU.
        match self.monitor.as_str() {
            "qemu" => return area,
            "enarx" => {
                let processors = SnpProcessors {
                    signature: self.signature,
                    features: self.features,
                    ..SnpProcessors::default()
                };
                return processors.save_area(self.index);
            }
            "ec2" => {
                if self.instruction_pointer == 0xffff_fff0 {
                    area.segments[1].attributes = 0x9a;
                }
                area.segments[2].attributes = 0x92;
                area.task.attributes = 0x83;
            }
            "gce" => area.page_attributes = 0x0007_0106,
            other => panic!("{other}"),
        }
        area.rdx = 0x600;
        area.mxcsr = 0;
        area.x87_control = 0;
        area
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/launch.json")).unwrap()
}

#[test]
fn save_areas() {
    for start in vectors().save_areas {
        let page = start.save_area().encode();
        let digest = hex::encode(Sha384::digest(page));
        assert_eq!(digest, start.sha384, "{}", start.monitor);
    }
}

#[test]
fn launches() {
    let vectors = vectors();
    for (index, launch) in vectors.launches.iter().enumerate() {
        let contents: Vec<[u8; PAGE_SIZE]> = launch
            .pages
            .iter()
            .map(|page| match page.kind.as_str() {
                "save-area" => vectors.save_areas[page.save_area].save_area().encode(),
                _ => [page.fill; PAGE_SIZE],
            })
            .collect();
        let pages = launch.pages.iter().zip(&contents).map(|(page, contents)| {
            let (kind, guest_address) = match page.kind.as_str() {
                "normal" => (PageKind::Normal(contents), page.address),
                "save-area" => (PageKind::SaveArea(contents), SAVE_AREA_ADDRESS),
                "zero" => (PageKind::Zero, page.address),
                "unmeasured" => (PageKind::Unmeasured, page.address),
                "secrets" => (PageKind::Secrets, page.address),
                "cpuid" => (PageKind::Cpuid, page.address),
                other => panic!("{other}"),
            };
            MeasuredPage {
                guest_address,
                kind,
            }
        });
        assert_eq!(
            hex::encode(snp_launch_digest(pages)),
            launch.digest,
            "{index}"
        );
    }
}

#[test]
fn signatures() {
    for processor in vectors().processors {
        let by_number = snp_signature(processor.family, processor.model, processor.stepping);
        assert_eq!(by_number, processor.signature, "{}", processor.name);
        assert_eq!(snp_named_signature(&processor.name), Some(by_number));
    }
    for unknown in ["EPYC-", "EPYC-v", "EPYC-vv4", "Milan", "EPYC-Milan-4"] {
        assert_eq!(snp_named_signature(unknown), None, "{unknown}");
    }
}

#[test]
fn identities() {
    fn bytes<const SIZE: usize>(text: &str) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        hex::decode_to_slice(text, &mut bytes).unwrap();
        bytes
    }
    for one in vectors().identities {
        let identity = SnpIdentity {
            measurement: bytes(&one.measurement),
            family: bytes(&one.family),
            image: bytes(&one.image),
            security_version: one.security_version,
            policy: one.policy,
        };
        assert_eq!(hex::encode(identity.encode()), one.block);
        assert_eq!(SnpIdentity::decode(&identity.encode()), Some(identity));
        let key = SnpKey {
            x: bytes(&one.x),
            y: bytes(&one.y),
        };
        assert_eq!(hex::encode(key.digest()), one.key_digest);
    }
}

#[test]
fn trust_domains() {
    for (index, domain) in vectors().trust_domains.iter().enumerate() {
        let contents: Vec<[u8; PAGE_SIZE]> = domain
            .pages
            .iter()
            .map(|page| std::array::from_fn(|at| ((page.fill + at) % 251) as u8))
            .collect();
        let pages = domain.pages.iter().zip(&contents);
        let digest = tdx_launch_digest(pages.map(|(page, contents)| AddedPage {
            guest_address: page.address,
            contents: page.measured.then_some(contents),
        }));
        assert_eq!(hex::encode(digest), domain.digest, "{index}");
    }
}

#[test]
fn registers() {
    for register in vectors().registers {
        let value = register.events.iter().fold([0; 48], |value, event| {
            let mut digest = [0; 48];
            hex::decode_to_slice(event, &mut digest).unwrap();
            tdx_extended(&value, &digest)
        });
        assert_eq!(hex::encode(value), register.value);
    }
}
