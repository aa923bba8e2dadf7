//! Quotes of a simulated Intel platform, with all that Intel publishes about it.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{SHA256, SHA384, digest},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use enarx_owner_evidence::{
    Digest, Simulated, UnixTime,
    dcap::{Collateral, CollateralBytes, Error, SimulatedRoots, VerifiedQuote},
};
use serde_json::{Value, json};

use crate::mint::{
    self, Certificate, Extension, RevocationList, authority, ecdsa_sha256, extension, integer, oid,
    p256_key, put, tlv,
};

pub const NOW: UnixTime = UnixTime(mint::NOW);

pub const FMSPC: [u8; 6] = [0x00, 0x90, 0x6e, 0xa1, 0x00, 0x00];
pub const PCE_ID: [u8; 2] = [0, 0];
const QE_SIGNER: [u8; 32] = [0x8c; 32];
const SEAM_SIGNER: [u8; 48] = [0x5e; 48];
const SGX: &str = "1.2.840.113741.1.13.1";

/// The keys of the mint, made once for all tests of a process.
pub struct Keys {
    pub root: Key,
    pub other_root: Key,
    pub authority: Key,
    pub tcb_signing: Key,
    pub pck: Key,
    pub attestation: Key,
}

pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        root: Key::generate(),
        other_root: Key::generate(),
        authority: Key::generate(),
        tcb_signing: Key::generate(),
        pck: Key::generate(),
        attestation: Key::generate(),
    })
}

/// A key on P-256 that signs in both of the forms that are used.
pub struct Key {
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

impl Key {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self {
            asn1: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref()).unwrap(),
            fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref())
                .unwrap(),
        }
    }

    pub fn public(&self) -> Vec<u8> {
        p256_key(self.asn1.public_key().as_ref())
    }

    /// As in certificates.
    pub fn sign_asn1(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.asn1.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }

    /// As in quotes and documents.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.fixed.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    }
}

/// All that goes into the verification of a quote, before it is signed.
pub struct Mint {
    pub root_key: &'static Key,
    pub root: Certificate,
    pub authority: Certificate,
    pub pck: Certificate,
    pub tcb_signing: Certificate,
    pub root_list: RevocationList,
    pub pck_list: RevocationList,
    pub tcb_info: Value,
    pub qe_identity: Value,
    /// 3 for SGX; 4 or 5.
    pub version: u16,
    pub body: Vec<u8>,
    pub qe_report: Vec<u8>,
    pub qe_auth: Vec<u8>,
    /// The type of certification data.
    pub certification: u16,
    /// What platforms write behind the chain.
    pub padding: &'static [u8],
}

impl Mint {
    /// An enclave in which nothing is wrong, quoted by version 3.
    pub fn sgx() -> Self {
        let mut body = vec![0; 384];
        // ATTRIBUTES: INIT and MODE64BIT.
        put(&mut body, 48, &[5]);
        put(&mut body, 64, &[0x3e; 32]);
        put(&mut body, 128, &[0x51; 32]);
        put(&mut body, 320, &[0xd4; 64]);
        Self::new(3, body, tcb_info("SGX"), qe_identity("QE"))
    }

    /// A TD under a module of version 1.5, quoted by version 4.
    pub fn tdx() -> Self {
        let mut body = vec![0; 584];
        put(&mut body, 0, &[5, 1, 2]);
        put(&mut body, 64, &SEAM_SIGNER);
        put(&mut body, 136, &[0x3e; 48]);
        put(&mut body, 520, &[0xd4; 64]);
        Self::new(4, body, tcb_info("TDX"), qe_identity("TD_QE"))
    }

    /// The same, quoted by version 5, which also tells of the module that runs now.
    pub fn tdx_1_5() -> Self {
        let mut mint = Self::tdx();
        mint.version = 5;
        mint.body.extend([5, 1, 2]);
        mint.body.resize(648, 0);
        mint
    }

    fn new(version: u16, body: Vec<u8>, tcb_info: Value, qe_identity: Value) -> Self {
        let keys = keys();
        let certificate = |serial, subject, issuer, key: &Key, extensions| Certificate {
            serial,
            subject,
            issuer,
            not_before: "250101000000Z",
            not_after: "350101000000Z",
            key: key.public(),
            extensions,
            algorithms: [ecdsa_sha256(), ecdsa_sha256()],
            pkcs1: false,
        };
        let list = |issuer| RevocationList {
            algorithm: ecdsa_sha256(),
            issuer,
            this_update: "261201000000Z",
            next_update: Some("271201000000Z"),
            revoked: vec![100],
            extensions: Vec::new(),
        };
        let (root, ca) = ("Intel SGX Root CA", "Intel SGX PCK Platform CA");
        let mut qe_report = vec![0; 384];
        put(&mut qe_report, 48, &[0x11]);
        put(&mut qe_report, 128, &QE_SIGNER);
        put(&mut qe_report, 256, &[2, 0, 8, 0]);
        Self {
            root_key: &keys.root,
            root: certificate(1, root, root, &keys.root, vec![authority(Some(1))]),
            authority: certificate(2, ca, root, &keys.authority, vec![authority(Some(0))]),
            pck: certificate(
                3,
                "Intel SGX PCK Certificate",
                ca,
                &keys.pck,
                vec![sgx_extension([7; 16], 13)],
            ),
            tcb_signing: certificate(
                4,
                "Intel SGX TCB Signing",
                root,
                &keys.tcb_signing,
                Vec::new(),
            ),
            root_list: list(root),
            pck_list: list(ca),
            tcb_info,
            qe_identity,
            version,
            body,
            qe_report,
            qe_auth: vec![0xaa; 32],
            certification: 5,
            padding: b"\n\0",
        }
    }

    /// The digest by which the root is pinned.
    pub fn root_digest() -> Digest {
        let digest = digest(&SHA384, &keys().root.public());
        digest.as_ref().try_into().unwrap()
    }

    pub fn chain(&self) -> String {
        let keys = keys();
        [
            self.pck.sign_with(|data| keys.authority.sign_asn1(data)),
            self.authority
                .sign_with(|data| self.root_key.sign_asn1(data)),
            self.root.sign_with(|data| self.root_key.sign_asn1(data)),
        ]
        .iter()
        .map(|der| {
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(der)
            )
        })
        .collect()
    }

    /// The quote, signed.
    pub fn quote(&self) -> Vec<u8> {
        let keys = keys();
        let tdx = self.body.len() != 384;
        let mut signed = Vec::new();
        signed.extend(self.version.to_le_bytes());
        signed.extend(2_u16.to_le_bytes());
        signed.extend(if tdx { 0x81_u32 } else { 0 }.to_le_bytes());
        signed.extend([0; 4]);
        signed.extend([
            0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f,
            0x06, 0x07,
        ]);
        signed.extend([0; 20]);
        if self.version == 5 {
            let kind: u16 = match self.body.len() {
                384 => 1,
                584 => 2,
                _ => 3,
            };
            signed.extend(kind.to_le_bytes());
            signed.extend(length(&self.body));
        }
        signed.extend(&self.body);

        let point = keys.attestation.asn1.public_key().as_ref()[1..].to_vec();
        let mut qe_report = self.qe_report.clone();
        let named = digest(&SHA256, &[point.as_slice(), &self.qe_auth].concat());
        put(&mut qe_report, 320, named.as_ref());
        let mut certified = qe_report.clone();
        certified.extend(keys.pck.sign(&qe_report));
        certified.extend(u16::try_from(self.qe_auth.len()).unwrap().to_le_bytes());
        certified.extend(&self.qe_auth);
        let mut chain = self.chain().into_bytes();
        chain.extend(self.padding);
        certified.extend(self.certification.to_le_bytes());
        certified.extend(length(&chain));
        certified.extend(chain);

        let mut signature = keys.attestation.sign(&signed);
        signature.extend(point);
        if self.version == 3 {
            signature.extend(certified);
        } else {
            signature.extend(6_u16.to_le_bytes());
            signature.extend(length(&certified));
            signature.extend(certified);
        }
        let mut quote = signed;
        quote.extend(length(&signature));
        quote.extend(signature);
        quote
    }

    /// All of the collateral, signed.
    pub fn issue(&self) -> Issued {
        let keys = keys();
        let root = |data: &[u8]| self.root_key.sign_asn1(data);
        Issued {
            tcb_info: document("tcbInfo", &self.tcb_info, &keys.tcb_signing),
            qe_identity: document("enclaveIdentity", &self.qe_identity, &keys.tcb_signing),
            certificates: vec![self.tcb_signing.sign_with(root), self.root.sign_with(root)],
            pck_revocations: self
                .pck_list
                .sign_with(|data| keys.authority.sign_asn1(data)),
            root_revocations: self.root_list.sign_with(root),
        }
    }

    /// Signs all and verifies it.
    pub fn verify(&self) -> Result<VerifiedQuote<Simulated>, Error> {
        self.issue().collateral()?.verify_quote(&self.quote(), NOW)
    }

    /// The first of the platform's TCB levels.
    pub fn level(&mut self) -> &mut Value {
        &mut self.tcb_info["tcbLevels"][0]
    }

    /// The first TCB level of the TDX module.
    pub fn module_level(&mut self) -> &mut Value {
        &mut self.tcb_info["tdxModuleIdentities"][0]["tcbLevels"][0]
    }
}

/// Collateral, signed.
pub struct Issued {
    pub tcb_info: Vec<u8>,
    pub qe_identity: Vec<u8>,
    pub certificates: Vec<Vec<u8>>,
    pub pck_revocations: Vec<u8>,
    pub root_revocations: Vec<u8>,
}

impl Issued {
    pub fn collateral(&self) -> Result<Collateral<SimulatedRoots>, Error> {
        let roots = [&keys().root, &keys().other_root].map(|key| {
            let digest = digest(&SHA384, &key.public());
            digest.as_ref().try_into().unwrap()
        });
        self.collateral_under(SimulatedRoots::Pinned(roots.to_vec()))
    }

    pub fn collateral_under(
        &self,
        roots: SimulatedRoots,
    ) -> Result<Collateral<SimulatedRoots>, Error> {
        let certificates: Vec<&[u8]> = self.certificates.iter().map(Vec::as_slice).collect();
        let bytes = CollateralBytes {
            tcb_info: &self.tcb_info,
            qe_identity: &self.qe_identity,
            certificates: &certificates,
            pck_revocations: &self.pck_revocations,
            root_revocations: &self.root_revocations,
        };
        Collateral::verify(&bytes, roots, NOW)
    }
}

/// One of Intel's documents, signed.
pub fn document(key: &str, contents: &Value, signer: &Key) -> Vec<u8> {
    let text = contents.to_string();
    let signature = hex::encode(signer.sign(text.as_bytes()));
    format!(r#"{{"{key}":{text},"signature":"{signature}"}}"#).into_bytes()
}

/// The SGX extension of a PCK certificate, in the manner of certificates from a Platform
/// CA.
pub fn sgx_extension(components: [u8; 16], pce_svn: u8) -> Extension {
    let field =
        |arc: &str, value: Vec<u8>| tlv(0x30, &[oid(&format!("{SGX}.{arc}")), value].concat());
    let octets = |bytes: &[u8]| tlv(0x04, bytes);
    let yes = || tlv(0x01, &[0xff]);
    let components = components.iter().zip(1..);
    let mut tcb: Vec<u8> = components
        .flat_map(|(svn, number)| field(&format!("2.{number}"), integer(*svn)))
        .collect();
    tcb.extend(field("2.17", integer(pce_svn)));
    tcb.extend(field("2.18", octets(&[7; 16])));
    let configuration: Vec<u8> = (1..=3)
        .flat_map(|number| field(&format!("7.{number}"), yes()))
        .collect();
    let fields = [
        field("1", octets(&[0x99; 16])),
        field("2", tlv(0x30, &tcb)),
        field("3", octets(&PCE_ID)),
        field("4", octets(&FMSPC)),
        field("5", tlv(0x0a, &[1])),
        field("6", octets(&[0x66; 16])),
        field("7", tlv(0x30, &configuration)),
    ];
    extension(SGX, tlv(0x30, &fields.concat()))
}

/// A level of a platform, at which all components and the PCE are at `svn`.
pub fn platform_level(svn: u8, status: &str, advisories: &[&str]) -> Value {
    let components = vec![json!({"svn": svn}); 16];
    // Three components are used of TDX: the module's SVN and version, and the loader's SVN.
    let mut tdx = vec![json!({"svn": 0}); 16];
    tdx[0] = json!({"svn": svn});
    tdx[2] = json!({"svn": 2});
    json!({
        "tcb": {
            "sgxtcbcomponents": components,
            "tdxtcbcomponents": tdx,
            "pcesvn": svn,
        },
        "tcbDate": "2026-06-01T00:00:00Z",
        "tcbStatus": status,
        "advisoryIDs": advisories,
    })
}

/// A level of an enclave or a TDX module.
pub fn enclave_level(svn: u16, status: &str, advisories: &[&str]) -> Value {
    json!({
        "tcb": {"isvsvn": svn},
        "tcbDate": "2026-05-01T00:00:00Z",
        "tcbStatus": status,
        "advisoryIDs": advisories,
    })
}

fn tcb_info(tee: &str) -> Value {
    let module = json!({
        "mrsigner": hex::encode(SEAM_SIGNER),
        "attributes": "0000000000000000",
        "attributesMask": "FFFFFFFFFFFFFFFF",
    });
    let mut version_1 = module.clone();
    version_1["id"] = json!("TDX_01");
    version_1["tcbLevels"] = json!([
        enclave_level(5, "UpToDate", &[]),
        enclave_level(4, "OutOfDate", &["INTEL-SA-00004"]),
        enclave_level(3, "Revoked", &[]),
    ]);
    let mut document = json!({
        "id": tee,
        "version": 3,
        "issueDate": "2027-01-01T00:00:00Z",
        "nextUpdate": "2027-01-31T00:00:00Z",
        "fmspc": hex::encode(FMSPC),
        "pceId": hex::encode(PCE_ID),
        "tcbType": 0,
        "tcbEvaluationDataNumber": 19,
        "tcbLevels": [
            platform_level(5, "UpToDate", &[]),
            platform_level(4, "OutOfDate", &["INTEL-SA-00002", "INTEL-SA-00001"]),
        ],
    });
    if tee == "TDX" {
        document["tdxModule"] = module;
        document["tdxModuleIdentities"] = json!([version_1]);
    }
    document
}

fn qe_identity(id: &str) -> Value {
    json!({
        "id": id,
        "version": 2,
        "issueDate": "2027-01-02T00:00:00Z",
        "nextUpdate": "2027-02-01T00:00:00Z",
        "tcbEvaluationDataNumber": 18,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": hex::encode(QE_SIGNER),
        "isvprodid": 2,
        "tcbLevels": [
            enclave_level(8, "UpToDate", &[]),
            enclave_level(6, "OutOfDate", &["INTEL-SA-00003"]),
            enclave_level(4, "Revoked", &[]),
        ],
    })
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap().to_le_bytes()
}
