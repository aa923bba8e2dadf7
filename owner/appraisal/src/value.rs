//! The values of a policy's keys, with messages that say what is accepted.

use core::ops::Range;

use enarx_owner_evidence::{Technology, UnknownTechnology, dcap::TcbStatus};
use enarx_wire_launch::{Platform, UnknownPlatform};
use toml::Spanned;

use crate::{AcceptedMeasurement, PolicyError};

/// A list of texts, each with its place.
pub(crate) type Texts = Spanned<Vec<Spanned<String>>>;

/// Reads each text of a list with `read`. An empty list would refuse everything, which
/// nobody means.
pub(crate) fn list<T>(
    document: &str,
    texts: &Texts,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, PolicyError> {
    if texts.get_ref().is_empty() {
        return Err(empty_list(document, texts.span()));
    }
    let each = texts.get_ref().iter();
    each.map(|text| one(document, text, &read)).collect()
}

/// The error for a list at `span` that has no entries.
pub(crate) fn empty_list(document: &str, span: Range<usize>) -> PolicyError {
    let message = "the list is empty and would refuse everything";
    PolicyError::value(document, span, message)
}

/// Reads a text with `read`.
pub(crate) fn one<T>(
    document: &str,
    text: &Spanned<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, PolicyError> {
    read(text.get_ref()).map_err(|message| PolicyError::value(document, text.span(), &message))
}

/// A platform by its name.
pub(crate) fn platform(text: &str) -> Result<Platform, String> {
    text.parse()
        .map_err(|error: UnknownPlatform| error.to_string())
}

/// A technology by its name.
pub(crate) fn technology(text: &str) -> Result<Technology, String> {
    text.parse()
        .map_err(|error: UnknownTechnology| error.to_string())
}

/// The products that evidence can tell.
pub(crate) const PRODUCTS: [&str; 8] = [
    "Milan", "Genoa", "Turin", "sgx", "tdx", "cca", "nitro", "nvidia",
];

/// A processor product by its name.
pub(crate) fn product(text: &str) -> Result<String, String> {
    if PRODUCTS.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("unknown product; one of: {}", PRODUCTS.join(", ")))
    }
}

/// One of Intel's TCB statuses.
pub(crate) fn tcb_status(text: &str) -> Result<TcbStatus, String> {
    let found = TcbStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == text);
    found.ok_or_else(|| {
        let names = TcbStatus::ALL.map(TcbStatus::as_str);
        format!("unknown TCB status; one of: {}", names.join(", "))
    })
}

/// `keep-image`, `reference-values`, `any`, or a measurement: SHA-256, SHA-384 or SHA-512, in hexadecimal.
pub(crate) fn measurement(text: &str) -> Result<AcceptedMeasurement, String> {
    match text {
        "keep-image" => return Ok(AcceptedMeasurement::KeepImage),
        "reference-values" => return Ok(AcceptedMeasurement::ReferenceValues),
        "any" => return Ok(AcceptedMeasurement::Any),
        _ => {}
    }
    hex::decode(text)
        .ok()
        .filter(|bytes| [32, 48, 64].contains(&bytes.len()))
        .map(AcceptedMeasurement::Value)
        .ok_or_else(|| {
            "must be \"keep-image\", \"reference-values\", \"any\", or 32, 48 or 64 bytes in \
             hexadecimal"
                .to_owned()
        })
}

/// Exactly `LENGTH` bytes in hexadecimal.
pub(crate) fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], String> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| format!("must be {LENGTH} bytes in hexadecimal"))?;
    Ok(bytes)
}

/// A machine's identity: an AMD chip's of 64 bytes, or the 8 that matter from Turin on; a
/// PPID of Intel's with 16; an instance of Arm's with 33; the digest of an NVIDIA device's
/// key with 48.
pub(crate) fn machine(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text)
        .ok()
        .filter(|bytes| [8, 16, 33, 48, 64].contains(&bytes.len()))
        .ok_or_else(|| "must be 8, 16, 33, 48 or 64 bytes in hexadecimal".to_owned())
}

/// Any number of bytes in hexadecimal, at most 1024.
pub(crate) fn any_bytes(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text)
        .ok()
        .filter(|bytes| bytes.len() <= 1024)
        .ok_or_else(|| "must be bytes in hexadecimal, at most 1024".to_owned())
}

/// A privilege level of SEV-SNP.
pub(crate) fn vmpl(document: &str, level: &Spanned<u32>) -> Result<u32, PolicyError> {
    match *level.get_ref() {
        level @ 0..=3 => Ok(level),
        _ => Err(PolicyError::value(
            document,
            level.span(),
            "must be a privilege level, 0 to 3",
        )),
    }
}
