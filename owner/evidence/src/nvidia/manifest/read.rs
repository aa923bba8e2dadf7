//! What a manifest says (TCG RIM information model, in NVIDIA's use of it).

use super::{ManifestError, xml::Element};

const TAGS: &str = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
const DIGESTS: &str = "http://www.w3.org/2001/04/xmlenc#sha384";

/// What one measurement should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The number of the measurement in manifests, from 0.
    pub index: u8,
    /// The values of which it is one.
    pub values: Vec<Vec<u8>>,
}

/// The values of a manifest that are used.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub(super) product: String,
    pub(super) version: String,
    pub(super) references: Vec<Reference>,
}

impl Contents {
    /// Reads a tag that has been verified.
    pub(super) fn read(tag: &Element) -> Result<Self, ManifestError> {
        let part = ManifestError::Part;
        if !tag.name.is(TAGS, "SoftwareIdentity") {
            return Err(part("root"));
        }
        let meta = only(tag, "Meta").ok_or(part("Meta"))?;
        let attribute = |name| meta.attribute("", name).filter(|value| !value.is_empty());
        let payload = only(tag, "Payload").ok_or(part("Payload"))?;
        let mut indices = [false; 256];
        let mut references = Vec::new();
        for resource in payload.elements() {
            let (reference, active) = measurement(resource).ok_or(part("Resource"))?;
            let seen = indices.get_mut(usize::from(reference.index));
            if seen.is_none_or(|seen| core::mem::replace(seen, true)) {
                return Err(part("Resource"));
            }
            if active {
                references.push(reference);
            }
        }
        if references.is_empty() {
            return Err(part("Payload"));
        }
        Ok(Self {
            product: attribute("product").ok_or(part("product"))?.to_owned(),
            version: attribute("colloquialVersion")
                .ok_or(part("version"))?
                .to_owned(),
            references,
        })
    }
}

fn only<'a>(tag: &'a Element, name: &str) -> Option<&'a Element> {
    let mut named = tag.elements().filter(|one| one.name.is(TAGS, name));
    let first = named.next()?;
    named.next().is_none().then_some(first)
}

/// A measurement, and whether it counts.
fn measurement(resource: &Element) -> Option<(Reference, bool)> {
    if !resource.name.is(TAGS, "Resource") || resource.attribute("", "type") != Some("Measurement")
    {
        return None;
    }
    let number = |name| resource.attribute("", name)?.parse::<u8>().ok();
    let active = match resource.attribute("", "active")? {
        "True" => true,
        "False" => false,
        _ => return None,
    };
    let size = usize::from(number("size")?);
    let values = (0..number("alternatives")?).map(|alternative| {
        let value = resource.attribute(DIGESTS, &format!("Hash{alternative}"))?;
        hex::decode(value).ok().filter(|value| value.len() == size)
    });
    let values = values.collect::<Option<Vec<_>>>()?;
    // None is left over, which would be a value that nobody compares with.
    let attributes = resource.attributes.iter();
    let digests = attributes.filter(|(name, _)| &*name.namespace == DIGESTS);
    if values.is_empty() || size == 0 || digests.count() != values.len() {
        return None;
    }
    let index = number("index")?;
    Some((Reference { index, values }, active))
}
