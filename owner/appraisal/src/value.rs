//! The values of a policy's keys, with messages that say what is accepted.

use enarx_wire_launch::Platform;
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
        let message = "the list is empty and would refuse everything";
        return Err(PolicyError::value(document, texts.span(), message));
    }
    let each = texts.get_ref().iter();
    each.map(|text| one(document, text, &read)).collect()
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
        .map_err(|error: enarx_wire_launch::UnknownPlatform| error.to_string())
}

/// `keep-image`, or a measurement: SHA-256 or SHA-384, in hexadecimal.
pub(crate) fn measurement(text: &str) -> Result<AcceptedMeasurement, String> {
    if text == "keep-image" {
        return Ok(AcceptedMeasurement::KeepImage);
    }
    hex::decode(text)
        .ok()
        .filter(|bytes| [32, 48].contains(&bytes.len()))
        .map(AcceptedMeasurement::Value)
        .ok_or_else(|| "must be \"keep-image\", or 32 or 48 bytes in hexadecimal".to_owned())
}

/// Exactly `LENGTH` bytes in hexadecimal.
pub(crate) fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], String> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| format!("must be {LENGTH} bytes in hexadecimal"))?;
    Ok(bytes)
}

/// An AMD chip identity: 64 bytes, or the 8 that matter from Turin on.
pub(crate) fn chip_id(text: &str) -> Result<[u8; 64], String> {
    let wrong = || "must be 64 bytes, or from Turin on 8, in hexadecimal".to_owned();
    let bytes = hex::decode(text).map_err(|_| wrong())?;
    if ![8, 64].contains(&bytes.len()) {
        return Err(wrong());
    }
    let mut chip_id = [0; 64];
    let (used, _zero) = chip_id.split_at_mut(bytes.len());
    used.copy_from_slice(&bytes);
    Ok(chip_id)
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
