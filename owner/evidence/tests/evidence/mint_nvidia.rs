//! A mint of simulated NVIDIA devices and of manifests for them.

use aws_lc_rs::{
    digest::{SHA384, digest},
    rand::SystemRandom,
    signature::{
        ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use enarx_owner_evidence::nvidia::SimulatedRoots;

use crate::mint::{Certificate, authority, ecdsa_sha384, p384_key};

pub const DRIVER: &str = "999.01";
pub const VBIOS: &str = "96.00.9f.00.01";

/// The namespaces around a signature, in the order of Canonical XML.
const SCOPE: &str = concat!(
    r#"xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" "#,
    r#"xmlns:ds="http://www.w3.org/2000/09/xmldsig#" "#,
    r#"xmlns:h="http://www.w3.org/2001/04/xmlenc#sha384""#
);

/// A root, and keys that it certifies: one signs reports, one signs manifests.
pub struct Mint {
    root: Key,
    device: Key,
    signer: Key,
}

struct Key {
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

impl Key {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random).unwrap();
        let read = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref()).unwrap();
        Self {
            asn1: read(&ECDSA_P384_SHA384_ASN1_SIGNING),
            fixed: read(&ECDSA_P384_SHA384_FIXED_SIGNING),
        }
    }

    fn info(&self) -> Vec<u8> {
        p384_key(self.asn1.public_key().as_ref())
    }

    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let signature = self.fixed.sign(&SystemRandom::new(), signed).unwrap();
        signature.as_ref().to_vec()
    }
}

impl Mint {
    pub fn new() -> Self {
        Self {
            root: Key::new(),
            device: Key::new(),
            signer: Key::new(),
        }
    }

    pub fn roots(&self) -> SimulatedRoots {
        let key = digest(&SHA384, &self.root.info());
        SimulatedRoots(vec![key.as_ref().try_into().unwrap()])
    }

    /// The certificates of the device, in DER.
    pub fn device_chain(&self) -> [Vec<u8>; 2] {
        self.chain("Simulated device", &self.device)
    }

    fn chain(&self, subject: &'static str, key: &Key) -> [Vec<u8>; 2] {
        let root = "Simulated root";
        let certificate = |subject, key: &Key, extensions| {
            let certificate = Certificate {
                serial: 1,
                subject,
                issuer: root,
                not_before: "250101000000Z",
                not_after: "350101000000Z",
                key: key.info(),
                extensions,
                algorithms: [ecdsa_sha384(), ecdsa_sha384()],
                pkcs1: false,
            };
            certificate.sign_with(|signed| {
                let signature = self.root.asn1.sign(&SystemRandom::new(), signed).unwrap();
                signature.as_ref().to_vec()
            })
        };
        [
            certificate(subject, key, Vec::new()),
            certificate(root, &self.root, vec![authority(None)]),
        ]
    }

    /// A report of these measurements, numbered from 1, and of [`DRIVER`] and [`VBIOS`].
    pub fn report(&self, measurements: &[[u8; 48]], video_decoder: u8) -> Vec<u8> {
        let mut record = Vec::new();
        for (index, value) in (1..).zip(measurements) {
            record.extend([index, 1, 51, 0, 1, 48, 0]);
            record.extend(value);
        }
        let mut opaque = Vec::new();
        let vbios = [0, 0x9f, 0, 0x96, 1, 0, 0, 0];
        let fields: [(u8, &[u8]); 3] = [
            (3, &[DRIVER.as_bytes(), &[0]].concat()),
            (6, &vbios),
            (11, &[video_decoder]),
        ];
        for (kind, value) in fields {
            opaque.extend([kind, 0, u8::try_from(value.len()).unwrap(), 0]);
            opaque.extend(value);
        }
        let length = u32::try_from(record.len()).unwrap().to_le_bytes();
        let request = [&[0x11, 0xe0, 1, 0xff][..], &[0x77; 32], &[0]].concat();
        let count = u8::try_from(measurements.len()).unwrap();
        let answer = [
            &[0x11, 0x60, 0, 0, count][..],
            &length[..3],
            &record,
            &[0x55; 32],
            &u16::try_from(opaque.len()).unwrap().to_le_bytes(),
            &opaque,
        ];
        let mut report = [request, answer.concat()].concat();
        report.extend(self.device.sign(&report));
        report
    }

    /// A manifest of `version` with these measurements, numbered from 0, each with its
    /// alternatives and whether it counts.
    pub fn manifest(&self, version: &str, measurements: &[(u8, &[[u8; 48]], bool)]) -> String {
        self.sign_tag(&tag(version, measurements), "", "")
    }

    /// Signs the tag that is already in canonical form, with `changed` in place of `form` in
    /// what is signed of the signature.
    pub fn sign_tag(&self, tag: &str, form: &str, changed: &str) -> String {
        let digest = STANDARD.encode(digest(&SHA384, tag.as_bytes()));
        let information = information(&digest).replace(form, changed);
        let value = STANDARD.encode(self.signer.sign(information.as_bytes()));
        let chain = self.chain("Simulated signer", &self.signer);
        let certificates: String = chain
            .iter()
            .map(|der| {
                let text = STANDARD.encode(der);
                format!("<ds:X509Certificate>{text}</ds:X509Certificate>")
            })
            .collect();
        let signature = format!(
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{information}\
             <ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
             {certificates}</ds:X509Data></ds:KeyInfo></ds:Signature>"
        );
        let (contents, end) = tag.rsplit_once("</").unwrap();
        format!("{contents}{signature}</{end}")
    }
}

/// A tag in canonical form, without a signature.
pub fn tag(version: &str, measurements: &[(u8, &[[u8; 48]], bool)]) -> String {
    let resources: String = measurements
        .iter()
        .map(|(index, values, counts)| {
            let active = if *counts { "True" } else { "False" };
            let digests: String = (0..)
                .zip(*values)
                .map(|(number, value): (u8, _)| {
                    format!(" h:Hash{number}=\"{}\"", hex::encode(value))
                })
                .collect();
            format!(
                "<Resource active=\"{active}\" alternatives=\"{}\" index=\"{index}\" size=\"48\" \
                 type=\"Measurement\"{digests}></Resource>",
                values.len()
            )
        })
        .collect();
    let scope = SCOPE.replace("xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" ", "");
    format!(
        "<SoftwareIdentity {scope} name=\"Simulated\">\n  <Meta colloquialVersion=\"{version}\" \
         product=\"SIM100\"></Meta>\n  <Payload>{resources}</Payload></SoftwareIdentity>"
    )
}

/// What is signed, in canonical form.
fn information(digest: &str) -> String {
    let empty =
        |name: &str, algorithm: &str| format!("<ds:{name} Algorithm=\"{algorithm}\"></ds:{name}>");
    let canonical = "http://www.w3.org/2006/12/xml-c14n11";
    let more = "http://www.w3.org/2001/04/xmldsig-more#";
    [
        &format!("<ds:SignedInfo {SCOPE}>"),
        &empty("CanonicalizationMethod", canonical),
        &empty("SignatureMethod", &format!("{more}ecdsa-sha384")),
        "<ds:Reference URI=\"\"><ds:Transforms>",
        &empty(
            "Transform",
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        ),
        &empty("Transform", canonical),
        "</ds:Transforms>",
        &empty("DigestMethod", &format!("{more}sha384")),
        &format!("<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"),
    ]
    .concat()
}
