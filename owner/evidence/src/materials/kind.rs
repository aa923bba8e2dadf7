//! What a file is, by its bytes.

use core::fmt;

use crate::{
    azure, event_log, nvidia, sev,
    snp::{self, REPORT_BYTES},
    text,
};

use super::{
    MAX_FILE_BYTES, Unrecognized,
    json::{self, MAX_JSON_BYTES},
    pem::{certificates_and_lists, is_pem},
};

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
    /// The report of an Azure VM's paravisor alone.
    HclReport,
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
    /// NVIDIA's reference values for a version of a driver or a VBIOS.
    NvidiaManifest,
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
                | Self::HclReport
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
            Self::HclReport => "HCL report",
            Self::EventLog => "event log",
            Self::Certificate => "certificate",
            Self::RevocationList => "revocation list",
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::UvmEndorsement => "UVM endorsement",
            Self::NvidiaManifest => "NVIDIA manifest",
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

impl Recognized {
    pub(super) fn new(kind: Kind, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
        }
    }
}

/// Takes a file apart. Text that is hexadecimal or base64 stands for what it encodes.
pub(super) fn recognize(file: &[u8]) -> Result<Vec<Recognized>, Unrecognized> {
    if file.len() > MAX_FILE_BYTES {
        return Err(Unrecognized::TooLarge(file.len()));
    }
    if let Some(found) = parts(file) {
        return Ok(found);
    }
    let text = str::from_utf8(file).map_err(|_| Unrecognized::Unknown)?;
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') if file.len() > MAX_JSON_BYTES => {
            return Err(Unrecognized::LargeJson(file.len()));
        }
        Some(b'{') => return json::object(text),
        Some(b'[') => return json::devices(text).ok_or(Unrecognized::Unknown),
        _ => {}
    }
    if is_pem(text) {
        return certificates_and_lists(text);
    }
    let dense: String = text.split_ascii_whitespace().collect();
    let decoded = text::octets(&dense).ok_or(Unrecognized::Unknown)?;
    match str::from_utf8(&decoded) {
        Ok(text) if is_pem(text) => certificates_and_lists(text),
        _ => parts(&decoded).ok_or(Unrecognized::Unknown),
    }
}

/// What is in a binary file: one thing, or an envelope with some.
fn parts(file: &[u8]) -> Option<Vec<Recognized>> {
    if let Some(kind) = binary(file) {
        return Some(vec![Recognized::new(kind, file)]);
    }
    if let Some(document) = wrapped_nitro(file) {
        return Some(vec![Recognized::new(Kind::NitroDocument, document)]);
    }
    if let Some(report) = snp_response(file) {
        return Some(vec![Recognized::new(Kind::SnpReport, report)]);
    }
    if let Some((report, rest)) = file.split_at_checked(REPORT_BYTES)
        && binary(report) == Some(Kind::SnpReport)
    {
        return extended_report(report, rest);
    }
    certificate_table(file)
}

/// A report with the certificates that the host gave beside it (AMD #56421, extended guest
/// request), or with what a buffer has behind it.
fn extended_report(report: &[u8], rest: &[u8]) -> Option<Vec<Recognized>> {
    let mut found = vec![Recognized::new(Kind::SnpReport, report)];
    if rest.iter().any(|byte| *byte != 0) {
        found.extend(certificate_table(rest)?);
    }
    Some(found)
}

/// Each part in DER, or in PEM where the host's owner put it so.
fn certificate_table(table: &[u8]) -> Option<Vec<Recognized>> {
    let mut found = Vec::new();
    for part in snp::certificates_in_table(table)? {
        if let Some(kind) = der(part) {
            found.push(Recognized::new(kind, part));
        } else {
            let text = str::from_utf8(part).ok().filter(|text| is_pem(text))?;
            found.extend(certificates_and_lists(text).ok()?);
        }
    }
    Some(found)
}

/// By the fields that every such file begins with.
pub(super) fn binary(bytes: &[u8]) -> Option<Kind> {
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
        _ if bytes.starts_with(&azure::HCL_SIGNATURE) => Some(Kind::HclReport),
        _ if event_log::begins_log(bytes) => Some(Kind::EventLog),
        _ if nvidia::begins_manifest(bytes) => Some(Kind::NvidiaManifest),
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
