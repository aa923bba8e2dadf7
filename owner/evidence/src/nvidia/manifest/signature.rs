//! The enveloped signature (W3C XML Signature 1.1), in the one form that NVIDIA makes.

use aws_lc_rs::{
    digest::{SHA384, digest},
    signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    UnixTime, Validity,
    x509::{Certificate, Vendor, verify_chain},
};

use super::{
    super::TrustAnchors,
    ManifestError,
    canonical::canonical,
    xml::{Element, Node},
};

/// Most certificates of a chain.
const MAX_CERTIFICATES: usize = 8;

const SIGNATURES: &str = "http://www.w3.org/2000/09/xmldsig#";
const CANONICAL_XML: &str = "http://www.w3.org/2006/12/xml-c14n11";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const ECDSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
const DIGEST_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";

/// A signature that was taken out of what it signs.
pub(super) struct Signature(Element);

impl Signature {
    /// Takes the only signature out of `tag`, at whose end it is. What is left is all that it
    /// can sign.
    pub(super) fn take_out_of(tag: &mut Element) -> Result<Self, ManifestError> {
        match count(tag) {
            0 => return Err(ManifestError::Unsigned),
            1 => {}
            _ => return Err(ManifestError::SeveralSignatures),
        }
        let last = tag.children.iter().rposition(is_element);
        let last = last.ok_or(ManifestError::Unsigned)?;
        match tag.children.remove(last) {
            Node::Element(element) if element.name.is(SIGNATURES, "Signature") => Ok(Self(element)),
            _ => Err(ManifestError::Form("place")),
        }
    }

    /// Verifies that `tag`, out of which this was taken, is what was signed, with a key that
    /// `anchors` vouch for; gives the signer's common name and when all certificates hold.
    pub(super) fn verify<R: TrustAnchors>(
        &self,
        tag: &Element,
        anchors: &R,
        now: UnixTime,
    ) -> Result<(String, Validity), ManifestError> {
        let [information, value, key] = parts(&self.0, ["SignedInfo", "SignatureValue", "KeyInfo"])
            .ok_or(ManifestError::Form("structure"))?;
        let expected = signed_digest(information)?;
        if digest(&SHA384, canonical(tag, &[]).as_bytes()).as_ref() != expected {
            return Err(ManifestError::Digest);
        }
        let certificates = certificates(key)?;
        let chain: Vec<_> = certificates
            .iter()
            .enumerate()
            .map(|(index, der)| {
                Certificate::parse(der, Vendor::Ecdsa)
                    .map_err(|error| ManifestError::Certificate { index, error })
            })
            .collect::<Result<_, _>>()?;
        let at = |index| move |error| ManifestError::Certificate { index, error };
        let (Some(signer), Some(root)) = (chain.first(), chain.last()) else {
            return Err(ManifestError::Form("chain"));
        };
        let signed = canonical(information, &[tag, &self.0]);
        let signature = base64(value).ok_or(ManifestError::Form("value"))?;
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, signer.p384_key().map_err(at(0))?)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| ManifestError::Signature)?;
        let root = root.key_digest().map_err(at(chain.len() - 1))?;
        if !anchors.vouches_for_manifests(&root) {
            return Err(ManifestError::UntrustedRoot);
        }
        let validity = verify_chain(&chain, now).map_err(|(index, error)| at(index)(error))?;
        Ok((signer.common_name(), validity))
    }
}

fn is_element(node: &Node) -> bool {
    matches!(node, Node::Element(_))
}

/// How many signatures there are, however deep.
fn count(element: &Element) -> usize {
    let itself = usize::from(element.name.is(SIGNATURES, "Signature"));
    element.elements().map(count).sum::<usize>() + itself
}

/// The digest that is signed, when it is over the whole and in the one form.
fn signed_digest(information: &Element) -> Result<Vec<u8>, ManifestError> {
    let form = ManifestError::Form;
    let names = ["CanonicalizationMethod", "SignatureMethod", "Reference"];
    let [method, scheme, reference] = parts(information, names).ok_or_else(|| form("structure"))?;
    check_algorithm(method, CANONICAL_XML).ok_or_else(|| form("canonical form"))?;
    check_algorithm(scheme, ECDSA_SHA384).ok_or_else(|| form("scheme"))?;
    let names = ["Transforms", "DigestMethod", "DigestValue"];
    let [transforms, method, value] = parts(reference, names).ok_or_else(|| form("reference"))?;
    // Nothing but the whole document around the signature.
    if reference.attributes.len() != 1 || reference.attribute("", "URI") != Some("") {
        return Err(form("reference"));
    }
    let [enveloped, canonical] =
        parts(transforms, ["Transform"; 2]).ok_or_else(|| form("transformation"))?;
    check_algorithm(enveloped, ENVELOPED).ok_or_else(|| form("transformation"))?;
    check_algorithm(canonical, CANONICAL_XML).ok_or_else(|| form("transformation"))?;
    check_algorithm(method, DIGEST_SHA384).ok_or_else(|| form("digest"))?;
    base64(value).ok_or_else(|| form("digest"))
}

/// The certificates, the signer's first, in DER.
fn certificates(key: &Element) -> Result<Vec<Vec<u8>>, ManifestError> {
    let form = || ManifestError::Form("chain");
    let [data] = parts(key, ["X509Data"]).ok_or_else(form)?;
    let certificates: Vec<_> = data.elements().take(MAX_CERTIFICATES + 1).collect();
    if certificates.len() > MAX_CERTIFICATES {
        return Err(form());
    }
    let certificates = certificates.into_iter().map(|certificate| {
        let is_certificate = certificate.name.is(SIGNATURES, "X509Certificate");
        is_certificate.then(|| base64(certificate)).flatten()
    });
    certificates.collect::<Option<_>>().ok_or_else(form)
}

/// The elements of these names, when there are those alone, in their order.
fn parts<'a, const N: usize>(element: &'a Element, names: [&str; N]) -> Option<[&'a Element; N]> {
    let is_blank = |node: &Node| matches!(node, Node::Text(text) if text.trim_ascii().is_empty());
    if !element
        .children
        .iter()
        .all(|node| is_element(node) || is_blank(node))
    {
        return None;
    }
    let found: [_; N] = element.elements().collect::<Vec<_>>().try_into().ok()?;
    let mut pairs = found.iter().zip(names);
    let named = pairs.all(|(one, name): (&&Element, _)| one.name.is(SIGNATURES, name));
    named.then_some(found)
}

/// Whether an element names this algorithm, without parameters.
fn check_algorithm(element: &Element, algorithm: &str) -> Option<()> {
    let same = element.attribute("", "Algorithm") == Some(algorithm);
    (same && element.attributes.len() == 1 && element.children.is_empty()).then_some(())
}

fn base64(element: &Element) -> Option<Vec<u8>> {
    let text = element.text()?;
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}
