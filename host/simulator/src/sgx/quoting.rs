//! The simulated quoting enclaves.
//!
//! Quotes of enclaves are of version 3 (*Intel SGX ECDSA QuoteGenReference API*, appendix A),
//! those of trust domains of version 4 (*Intel TDX DCAP Quoting Library API*, appendix A). All
//! integers are little-endian.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use x509_cert::der::pem::{self, LineEnding};

use super::{
    Attributes, EnclaveIdentity, Endorsements, Fuses, Report, TargetInfo, certificate, platform,
};
use crate::x509::CertificateError;

/// What is quoted; there is a quoting enclave for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tee {
    /// SGX enclaves.
    Enclave,
    /// TDX trust domains.
    TrustDomain,
}

impl Tee {
    /// Who the quoting enclave is: the same on all simulated machines, and nothing of Intel's.
    pub(super) fn quoting_enclave(self) -> EnclaveIdentity {
        let (name, isv_prod_id, isv_svn) = match self {
            Self::Enclave => ("Enarx Simulator quoting enclave", 1, 8),
            Self::TrustDomain => ("Enarx Simulator TD quoting enclave", 2, 4),
        };
        identity(name, isv_prod_id, isv_svn)
    }
}

fn identity(name: &str, isv_prod_id: u16, isv_svn: u16) -> EnclaveIdentity {
    EnclaveIdentity {
        mrenclave: sha256(&[name.as_bytes()]),
        mrsigner: sha256(&[b"Enarx Simulator quoting enclave signer"]),
        attributes: Attributes {
            flags: Attributes::INIT | Attributes::MODE64BIT | Attributes::PROVISION_KEY,
            xfrm: 0b111,
        },
        misc_select: 0,
        isv_prod_id,
        isv_svn,
        config_id: [0; 64],
        config_svn: 0,
        isv_ext_prod_id: [0; 16],
        isv_family_id: [0; 16],
    }
}

/// A quoting enclave that has made its attestation key and had it certified.
pub(super) struct QuotingEnclave {
    tee: Tee,
    attestation_key: EcdsaKeyPair,
    /// The enclave's identity of the platform, the same in all its quotes.
    platform_id: [u8; 16],
    /// What all its quotes have behind their own signature.
    certification: Vec<u8>,
}

impl QuotingEnclave {
    /// Makes an attestation key, as a real one does when it has none sealed, and has `pck`
    /// certify it.
    pub(super) fn start(
        tee: Tee,
        fuses: &Fuses,
        endorsements: &Endorsements,
        pck: &EcdsaKeyPair,
    ) -> Result<Self, CertificateError> {
        let attestation_key = certificate::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        // SEC 1, 2.3.3: an uncompressed point, of which quotes leave out the first byte.
        let point = &attestation_key.public_key().as_ref()[1..];
        let mut report_data = [0; 64];
        report_data[..32].copy_from_slice(&sha256(&[point, &AUTHENTICATION_DATA]));
        let report = Report {
            cpu_svn: platform::CPU_SVN,
            enclave: tee.quoting_enclave(),
            report_data,
            key_id: [0; 32],
            mac: [0; 16],
        };
        let body = &report.to_bytes()[..Report::BODY_SIZE];
        let chain = chain(endorsements)?;

        let mut reported = body.to_vec();
        reported.extend(certificate::sign(pck, body)?);
        reported.extend((AUTHENTICATION_DATA.len() as u16).to_le_bytes());
        reported.extend(AUTHENTICATION_DATA);
        reported.extend(PCK_CHAIN.to_le_bytes());
        reported.extend((chain.len() as u32).to_le_bytes());
        reported.extend(chain);

        let mut certification = point.to_vec();
        if tee == Tee::TrustDomain {
            certification.extend(QE_REPORT.to_le_bytes());
            certification.extend((reported.len() as u32).to_le_bytes());
        }
        certification.extend(reported);
        Ok(Self {
            tee,
            attestation_key,
            platform_id: fuses.identity("QE_ID"),
            certification,
        })
    }

    /// The quote of the body of a report that was verified.
    pub(super) fn quote(&self, body: &[u8]) -> Result<Vec<u8>, CertificateError> {
        let mut quote =
            Vec::with_capacity(HEADER_SIZE + body.len() + 4 + 64 + self.certification.len());
        match self.tee {
            Tee::Enclave => {
                quote.extend(3_u16.to_le_bytes());
                quote.extend(ECDSA_P256.to_le_bytes());
                quote.extend([0; 4]);
                quote.extend(self.tee.quoting_enclave().isv_svn.to_le_bytes());
                quote.extend(platform::PCE_SVN.to_le_bytes());
            }
            Tee::TrustDomain => {
                quote.extend(4_u16.to_le_bytes());
                quote.extend(ECDSA_P256.to_le_bytes());
                quote.extend(TDX.to_le_bytes());
                quote.extend([0; 4]);
            }
        }
        quote.extend(INTEL_QE_VENDOR);
        quote.extend(self.platform_id);
        quote.extend([0; 4]);
        quote.extend(body);

        let signature = certificate::sign(&self.attestation_key, &quote)?;
        let size = signature.len() + self.certification.len();
        quote.extend((size as u32).to_le_bytes());
        quote.extend(signature);
        quote.extend(&self.certification);
        Ok(quote)
    }
}

/// Whether an enclave's report is one that the quoting enclave may quote.
pub(super) fn is_quotable(fuses: &Fuses, report: &[u8; Report::SIZE]) -> bool {
    fuses.is_made_for(&TargetInfo::of(&Tee::Enclave.quoting_enclave()), report)
}

/// Size of a quote's header in bytes.
const HEADER_SIZE: usize = 48;
/// What is quoted: a trust domain. Quotes of version 3 have no such field.
const TDX: u32 = 0x81;
/// Attestation key type: ECDSA on P-256 with SHA-256.
const ECDSA_P256: u16 = 2;
/// Certification data type: the quoting enclave's report, with certification data of its own.
const QE_REPORT: u16 = 6;
/// Certification data type: the PCK certificate chain in PEM.
const PCK_CHAIN: u16 = 5;
/// The vendor of the quoting enclave, 939A7233-F79C-4CA9-940A-0DB3957F0607: what verifiers
/// take to tell how a quote is to be read.
const INTEL_QE_VENDOR: [u8; 16] = [
    0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07,
];
/// What the quoting enclave adds to its key; Intel's counts to 31 as well.
const AUTHENTICATION_DATA: [u8; 32] = {
    let mut data = [0; 32];
    let mut index = 0;
    while index < data.len() {
        data[index] = index as u8;
        index += 1;
    }
    data
};

/// The chain of the PCK certificate in PEM, leaf first, ended by a zero byte as Intel's is.
fn chain(endorsements: &Endorsements) -> Result<Vec<u8>, CertificateError> {
    let mut chain = Vec::new();
    for certificate in [
        &endorsements.pck,
        &endorsements.pck_authority,
        &endorsements.root,
    ] {
        let text = pem::encode_string("CERTIFICATE", LineEnding::LF, certificate);
        chain.extend(text.map_err(der::Error::from)?.into_bytes());
    }
    chain.push(0);
    Ok(chain)
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
