//! Comparison of a device's measurements with manifests.

use core::fmt;

use crate::{Assurance, Validity};

use super::{Error, Report, VerifiedManifest};

/// The measurement, by its number in manifests, that says nothing while the first video decoder
/// is off.
const VIDEO_DECODER_INDEX: u8 = 35;
/// The video decoder's state when it is off.
const VIDEO_DECODER_OFF: &[u8] = &[0x55];

/// A part of what runs on a device; each has its manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The driver, and the firmware that it loads.
    Driver,
    /// The VBIOS: the firmware in the device's flash memory.
    Vbios,
}

/// What was compared, and is the same.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) part: Part,
    product: String,
    version: String,
    signer: String,
    count: usize,
    without_decoder: bool,
}

/// Compares what the manifests for the version of `part` that `report` tells say about it;
/// `None` when there is none. Manifests do not tell of which board they are: where there are
/// several for a version, one of them must hold throughout.
pub(super) fn compare<A: Assurance>(
    report: &Report,
    part: Part,
    manifests: &[VerifiedManifest<A>],
) -> Result<Option<(Comparison, Validity)>, Error> {
    let Some(version) = part.version(report) else {
        return Ok(None);
    };
    let mut different = None;
    for manifest in manifests {
        if !manifest.version().eq_ignore_ascii_case(&version) {
            continue;
        }
        let indices = differences(report, manifest);
        if !indices.is_empty() {
            different.get_or_insert(indices);
            continue;
        }
        let comparison = Comparison {
            part,
            product: manifest.product().to_owned(),
            version,
            signer: manifest.signer().to_owned(),
            count: compared(report, manifest).count(),
            without_decoder: compared(report, manifest).count() < manifest.references().len(),
        };
        return Ok(Some((comparison, manifest.validity())));
    }
    match different {
        Some(indices) => Err(Error::Measurements {
            part,
            version,
            indices,
        }),
        None => Ok(None),
    }
}

/// The numbers of the measurements that are none of the manifest's values, or are not there.
fn differences<A: Assurance>(report: &Report, manifest: &VerifiedManifest<A>) -> Vec<u8> {
    let different = compared(report, manifest).filter(|reference| {
        // Blocks count from 1.
        let number = reference.index.checked_add(1);
        let mut blocks = report.blocks.iter();
        let block = blocks.find(|block| Some(block.index) == number);
        !block.is_some_and(|block| reference.values.contains(&block.value))
    });
    different.map(|reference| reference.index).collect()
}

fn compared<'a, A: Assurance>(
    report: &Report,
    manifest: &'a VerifiedManifest<A>,
) -> impl Iterator<Item = &'a super::Reference> {
    let off = report.video_decoder.as_deref() == Some(VIDEO_DECODER_OFF);
    let references = manifest.references().iter();
    references.filter(move |reference| !(off && reference.index == VIDEO_DECODER_INDEX))
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Driver, Self::Vbios];

    /// The version of this part, as manifests spell it, where the report tells it.
    fn version(self, report: &Report) -> Option<String> {
        match (self, self.raw_version(report)?) {
            (Self::Vbios, [d, c, b, a, e, _, _, _]) => {
                Some(format!("{a:02x}.{b:02x}.{c:02x}.{d:02x}.{e:02x}"))
            }
            (_, text) => {
                let text = str::from_utf8(text).ok()?.trim_end_matches('\0');
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
                (!text.is_empty() && text.bytes().all(is_plain)).then(|| text.to_owned())
            }
        }
    }

    fn raw_version(self, report: &Report) -> Option<&[u8]> {
        match self {
            Self::Driver => report.driver_version.as_deref(),
            Self::Vbios => report.vbios_version.as_deref(),
        }
    }

    /// The name of the step that compares it.
    pub(super) const fn step(self) -> &'static str {
        match self {
            Self::Driver => "driver manifest",
            Self::Vbios => "VBIOS manifest",
        }
    }

    /// That it was not compared, and with what it could be.
    pub(super) fn absence(self, report: &Report) -> String {
        match self.version(report) {
            Some(version) => {
                format!("not compared: no manifest for {self} {version} among the files")
            }
            None => format!("not compared: the report does not tell the version of the {self}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Driver => "driver",
            Self::Vbios => "VBIOS",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            product,
            version,
            signer,
            count,
            ..
        } = self;
        write!(
            formatter,
            "{count} measurements are as the manifest for {part} {version} of {product} says, \
             which {signer} signed"
        )?;
        if self.without_decoder {
            write!(
                formatter,
                "; {VIDEO_DECODER_INDEX} is not compared, as the video decoder is off"
            )?;
        }
        Ok(())
    }
}
