//! What a file is, by its bytes.

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    event_log, sev,
    snp::{self, REPORT_BYTES},
};

use super::{MAX_FILE_BYTES, Unrecognized};

/// Largest JSON document looked at; Intel's largest have some 60 KiB, and lists of many GPUs
/// not more than twice that.
pub(super) const MAX_JSON_BYTES: usize = 256 * 1024;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An AMD SEV-SNP attestation report.
    SnpReport,
    /// An Intel SGX or TDX quote.
    Quote,
    /// An Arm CCA token.
    CcaToken,
    /// An AWS Nitro Enclaves attestation document.
    NitroDocument,
    /// A report of an NVIDIA device.
    NvidiaReport,
    /// Evidence from behind the virtual TPM of an Azure VM.
    AzureEvidence,
    /// An event log of a confidential VM.
    EventLog,
    /// A certificate, in DER.
    Certificate,
    /// A revocation list, in DER.
    RevocationList,
    /// Intel's TCB info.
    TcbInfo,
    /// Intel's identity of a quoting enclave.
    QeIdentity,
    /// Microsoft's endorsement of the VM around confidential containers.
    UvmEndorsement,
    /// A certificate of a platform with AMD SEV before SEV-SNP, in AMD's own form.
    SevCertificate,
}

impl Kind {
    /// Whether it is evidence, and not only an endorsement of such.
    #[must_use]
    pub const fn is_evidence(self) -> bool {
        matches!(
            self,
            Self::SnpReport
                | Self::Quote
                | Self::CcaToken
                | Self::NitroDocument
                | Self::NvidiaReport
                | Self::AzureEvidence
        )
    }

    /// What people call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SnpReport => "SEV-SNP report",
            Self::Quote => "SGX or TDX quote",
            Self::CcaToken => "CCA token",
            Self::NitroDocument => "Nitro document",
            Self::NvidiaReport => "NVIDIA report",
            Self::AzureEvidence => "Azure vTPM evidence",
            Self::EventLog => "event log",
            Self::Certificate => "certificate",
            Self::RevocationList => "revocation list",
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::UvmEndorsement => "UVM endorsement",
            Self::SevCertificate => "SEV platform certificate",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A part of a file.
#[derive(Debug)]
pub(super) struct Recognized {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

/// Takes a file apart. Text that is hexadecimal or base64 stands for what it encodes.
pub(super) fn recognize(file: &[u8]) -> Result<Vec<Recognized>, Unrecognized> {
    if file.len() > MAX_FILE_BYTES {
        return Err(Unrecognized::TooLarge(file.len()));
    }
    if let Some(kind) = binary(file) {
        let bytes = file.to_vec();
        return Ok(vec![Recognized { kind, bytes }]);
    }
    if let Some(document) = wrapped_nitro(file) {
        return Ok(vec![Recognized {
            kind: Kind::NitroDocument,
            bytes: document.to_vec(),
        }]);
    }
    if let Some(report) = snp_response(file) {
        return Ok(vec![Recognized {
            kind: Kind::SnpReport,
            bytes: report.to_vec(),
        }]);
    }
    if let Some(certificates) = snp::certificates_in_table(file) {
        let parts = certificates.into_iter().map(|part| {
            let kind = der(part).ok_or(Unrecognized::Unknown)?;
            let bytes = part.to_vec();
            Ok(Recognized { kind, bytes })
        });
        return parts.collect();
    }
    let text = str::from_utf8(file).map_err(|_| Unrecognized::Unknown)?;
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') if file.len() > MAX_JSON_BYTES => {
            return Err(Unrecognized::LargeJson(file.len()));
        }
        Some(b'{') => return object(text, file),
        Some(b'[') => return devices(text).ok_or(Unrecognized::Unknown),
        _ => {}
    }
    if text.contains("-----BEGIN ") {
        return pem(text);
    }
    let dense: String = text.split_ascii_whitespace().collect();
    let encoded = dense.strip_prefix("0x").unwrap_or(&dense);
    let decoded = hex::decode(encoded)
        .ok()
        .or_else(|| STANDARD.decode(encoded).ok());
    let decoded = decoded.ok_or(Unrecognized::Unknown)?;
    if let Ok(text) = str::from_utf8(&decoded)
        && text.contains("-----BEGIN ")
    {
        return pem(text);
    }
    let kind = binary(&decoded).ok_or(Unrecognized::Unknown)?;
    Ok(vec![Recognized {
        kind,
        bytes: decoded,
    }])
}

/// By the fields that every such file begins with.
fn binary(bytes: &[u8]) -> Option<Kind> {
    if bytes.len() == REPORT_BYTES && matches!(bytes, [2..=5, 0, 0, 0, ..]) {
        return Some(Kind::SnpReport);
    }
    // Version, key type, and later the vendor of the quoting enclave.
    if matches!(bytes, [3..=5, 0, _, 0, ..]) && bytes.get(12..16) == Some(&[0x93, 0x9a, 0x72, 0x33])
    {
        return Some(Kind::Quote);
    }
    if is_signed_with_ps384(bytes) {
        return Some(Kind::UvmEndorsement);
    }
    match bytes {
        // CBOR tags 399 and 907.
        [0xd9, 0x01, 0x8f, ..] | [0xd9, 0x03, 0x8b, ..] => Some(Kind::CcaToken),
        // An array of four, tagged with 18 or not, whose header says ES384 alone.
        [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, ..]
        | [0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, ..] => Some(Kind::NitroDocument),
        // A request of SPDM 1.1 for measurements, and the answer behind it.
        [0x11, 0xe0, ..] if bytes.get(37..39) == Some(&[0x11, 0x60]) => Some(Kind::NvidiaReport),
        _ if event_log::begins_log(bytes) => Some(Kind::EventLog),
        _ if is_sev_certificate(bytes) => Some(Kind::SevCertificate),
        _ => der(bytes),
    }
}

/// A tagged `COSE_Sign1` whose header, a byte string with a size of two bytes, begins with
/// that algorithm.
fn is_signed_with_ps384(bytes: &[u8]) -> bool {
    let header = bytes
        .strip_prefix(&[0xd2, 0x84, 0x59])
        .and_then(|rest| rest.get(2..));
    matches!(header, Some([0xa0..=0xb7, 0x01, 0x38, 0x25, ..]))
}

fn is_sev_certificate(bytes: &[u8]) -> bool {
    sev::Certificate::parse(bytes).is_ok() || sev::Authority::parse(bytes).is_ok()
}

/// The report in the firmware's answer to a guest (AMD #56860, `MSG_REPORT_RSP`): a status
/// of zero, the report's size, and 24 reserved bytes before it.
fn snp_response(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_at_checked(32)?;
    let size = u32::try_from(REPORT_BYTES).ok()?.to_le_bytes();
    let report = rest.get(..REPORT_BYTES)?;
    let answer = header.get(..4)? == [0; 4] && header.get(4..8)? == size;
    (answer && binary(report) == Some(Kind::SnpReport)).then_some(report)
}

/// The Nitro document in an attestation of dstack's: a version, a variant, the length as a
/// compact integer of SCALE with two bytes, the document, and what dstack adds.
fn wrapped_nitro(bytes: &[u8]) -> Option<&[u8]> {
    let [0, 2, low, high, document @ ..] = bytes else {
        return None;
    };
    let length = u16::from_le_bytes([*low, *high]);
    let document = document.get(..usize::from(length >> 2))?;
    let compact = length & 3 == 1;
    (compact && binary(document) == Some(Kind::NitroDocument)).then_some(document)
}

/// A certificate's first field is its tagged version, a list's is none.
fn der(bytes: &[u8]) -> Option<Kind> {
    let (contents, rest) = sequence(bytes)?;
    let (signed, _) = sequence(contents)?;
    match signed.first()? {
        _ if !rest.is_empty() => None,
        0xa0 => Some(Kind::Certificate),
        0x02 | 0x30 => Some(Kind::RevocationList),
        _ => None,
    }
}

/// What is inside of a DER `SEQUENCE`, and what is behind it.
fn sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, contents) = match bytes {
        [0x30, length @ 0..=0x7f, contents @ ..] => (usize::from(*length), contents),
        [0x30, 0x81, length, contents @ ..] => (usize::from(*length), contents),
        [0x30, 0x82, high, low, contents @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), contents)
        }
        [0x30, 0x83, high, middle, low, contents @ ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]);
            (usize::try_from(length).ok()?, contents)
        }
        _ => return None,
    };
    contents.split_at_checked(length)
}

fn pem(text: &str) -> Result<Vec<Recognized>, Unrecognized> {
    let mut found = Vec::new();
    for block in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----").ok_or(Unrecognized::Unknown)?;
        let kind = match label {
            "CERTIFICATE" => Kind::Certificate,
            "X509 CRL" => Kind::RevocationList,
            _ => return Err(Unrecognized::Unknown),
        };
        let (body, _) = rest.split_once("-----END ").ok_or(Unrecognized::Unknown)?;
        let dense: String = body.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(dense).map_err(|_| Unrecognized::Unknown)?;
        found.push(Recognized { kind, bytes });
    }
    Ok(found)
}

/// The keys by which documents are told apart. Their values are not kept: parsed, they would
/// take many times the memory of their text.
#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "tcbInfo")]
    tcb_info: Option<IgnoredAny>,
    #[serde(rename = "enclaveIdentity")]
    enclave_identity: Option<IgnoredAny>,
    signature: Option<IgnoredAny>,
    hcl_report: Option<IgnoredAny>,
    tpm_quote: Option<IgnoredAny>,
    report: Option<IgnoredAny>,
    quote: Option<IgnoredAny>,
    #[serde(rename = "vcekCert")]
    vcek: Option<String>,
    #[serde(rename = "certificateChain")]
    chain: Option<String>,
}

/// By the keys that a document of the kind has.
fn object(text: &str, file: &[u8]) -> Result<Vec<Recognized>, Unrecognized> {
    let keys: Keys = serde_json::from_str(text).map_err(|_| Unrecognized::Unknown)?;
    // What Azure's hosts give out about their processor (THIM).
    if let Some(vcek) = keys.vcek {
        return pem(&[vcek, keys.chain.unwrap_or_default()].concat());
    }
    let signed = keys.signature.is_some();
    let kind = if keys.tcb_info.is_some() && signed {
        Kind::TcbInfo
    } else if keys.enclave_identity.is_some() && signed {
        Kind::QeIdentity
    } else if (keys.hcl_report.is_some() && keys.tpm_quote.is_some())
        || (keys.report.is_some() && keys.quote.is_some())
    {
        Kind::AzureEvidence
    } else {
        return Err(Unrecognized::Unknown);
    };
    let bytes = file.to_vec();
    Ok(vec![Recognized { kind, bytes }])
}

/// One of NVIDIA's devices, with its report and its chain in base64.
#[derive(Deserialize)]
struct Device {
    evidence: String,
    certificate: String,
}

/// A list of NVIDIA's devices.
fn devices(text: &str) -> Option<Vec<Recognized>> {
    let devices: Vec<Device> = serde_json::from_str(text).ok()?;
    let mut found = Vec::new();
    for device in devices {
        let report = STANDARD.decode(device.evidence).ok()?;
        if binary(&report) != Some(Kind::NvidiaReport) {
            return None;
        }
        found.push(Recognized {
            kind: Kind::NvidiaReport,
            bytes: report,
        });
        let chain = String::from_utf8(STANDARD.decode(device.certificate).ok()?).ok()?;
        found.extend(pem(&chain).ok()?);
    }
    Some(found).filter(|found| !found.is_empty())
}
