//! Verification of host key documents.

use x509_cert::{
    der::{Decode as _, asn1::ObjectIdentifier, asn1::OctetStringRef},
    ext::pkix::AuthorityKeyIdentifier,
};

use crate::{
    CertificateError, Digest, Step, UnixTime, Validity,
    x509::{Certificate, RevocationList, Vendor},
};

use super::{
    Error, Role,
    names::{are_alike, is_of_ibm, is_signing_key},
};

/// Most authorities above the signing key, the root counted.
const MAX_AUTHORITIES: usize = 4;
/// Most certificates looked at.
const MAX_CERTIFICATES: usize = 256;

const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// A host key that IBM certified, if the root is whom the caller trusts for that.
///
/// Only verification makes one. It is no evidence of what runs on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedHostKey {
    key_digest: Digest,
    signer: String,
    root: String,
    anchor: Digest,
    validity: Validity,
}

impl VerifiedHostKey {
    /// SHA-384 of the host key's `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn key_digest(&self) -> &Digest {
        &self.key_digest
    }

    /// SHA-384 of the `SubjectPublicKeyInfo` of the root that the caller named, and its subject.
    #[must_use]
    pub fn anchor(&self) -> (&Digest, &str) {
        (&self.anchor, &self.root)
    }

    /// When all certificates and lists hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What verification established.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        const SOURCE: &str =
            "Introducing IBM Secure Execution for Linux, verifying the host key document";
        let step = |name, found| Step {
            name,
            found,
            source: SOURCE,
        };
        vec![
            step(
                "signing key",
                format!(
                    "{}, which leads to the root that you named, {}; not revoked",
                    self.signer, self.root
                ),
            ),
            step(
                "host key document",
                format!(
                    "issued under that key, not revoked, holds until {}",
                    self.validity.not_after
                ),
            ),
        ]
    }
}

/// The roots in a file, one certificate in DER or any number in PEM beside other things, by
/// the SHA-384 of their `SubjectPublicKeyInfo`.
///
/// # Errors
///
/// [`Error::Roots`] when there is none.
pub fn roots(certificates: &[&[u8]]) -> Result<Vec<Digest>, Error> {
    let digest = |der: &&[u8]| Certificate::parse(der, Vendor::Ibm)?.key_digest();
    let digests: Result<Vec<_>, _> = certificates.iter().map(digest).collect();
    match digests.map_err(Error::Roots)? {
        none if none.is_empty() => Err(Error::Roots(CertificateError::Malformed)),
        digests => Ok(digests),
    }
}

/// Whether a certificate, in DER, is what a host key document looks like: IBM's, and of a key
/// on P-521.
pub(crate) fn is_host_key(der: &[u8]) -> bool {
    Certificate::parse(der, Vendor::Ibm).is_ok_and(|certificate| looks_like_one(&certificate))
}

fn looks_like_one(certificate: &Certificate<'_>) -> bool {
    certificate.p521_key().is_some() && is_of_ibm(certificate.subject())
}

/// Verifies the host key document among `certificates` at the time `now`, up to a root with
/// one of the digests `roots`. For each issuer there must be a fresh list among
/// `revocation_lists`; all are in DER.
///
/// # Errors
///
/// The first thing found wrong or missing.
pub fn verify_host_key(
    certificates: &[&[u8]],
    revocation_lists: &[&[u8]],
    roots: &[Digest],
    now: UnixTime,
) -> Result<VerifiedHostKey, Error> {
    let mut documents = Vec::new();
    let mut others = Vec::new();
    for der in certificates.iter().take(MAX_CERTIFICATES) {
        // Another vendor's may lie there too.
        let Ok(certificate) = Certificate::parse(der, Vendor::Ibm) else {
            continue;
        };
        if looks_like_one(&certificate) {
            documents.push(certificate);
        } else {
            others.push(certificate);
        }
    }
    let [document] = documents.as_slice() else {
        return Err(match documents.len() {
            0 => Error::Missing(Role::HostKey),
            several => Error::Several(several),
        });
    };
    let mut refusal = Error::Missing(Role::SigningKey);
    for signer in &others {
        if !is_signing_key(signer.subject()) {
            continue;
        }
        let chain = Chain {
            document,
            signer,
            others: &others,
            lists: revocation_lists,
        };
        match chain.verify(roots, now) {
            Ok(verified) => return Ok(verified),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// A document with one candidate for the key that signed it, and all else.
struct Chain<'c, 'a> {
    document: &'c Certificate<'a>,
    signer: &'c Certificate<'a>,
    others: &'c [Certificate<'a>],
    lists: &'c [&'c [u8]],
}

impl Chain<'_, '_> {
    fn verify(&self, roots: &[Digest], now: UnixTime) -> Result<VerifiedHostKey, Error> {
        let (document, signer) = (self.document, self.signer);
        let authorities = self.authorities()?;
        let Some(root) = authorities.last() else {
            return Err(Error::Missing(Role::Authority));
        };
        let anchor = root.key_digest().map_err(at(Role::Authority))?;
        if !roots.contains(&anchor) {
            return Err(Error::UntrustedRoot);
        }
        let mut validity = root.check_validity(now).map_err(at(Role::Authority))?;
        let mut issuer = *root;
        // The root first, which issued itself.
        for (below, authority) in authorities.iter().enumerate().rev() {
            let check = at(Role::Authority);
            authority.check_issued_by(issuer).map_err(&check)?;
            let below = u8::try_from(below).map_err(|_| Error::ChainLength)?;
            authority.check_authority(below).map_err(&check)?;
            let period = authority.check_validity(now).map_err(&check)?;
            validity = validity.intersection(period);
            if authority.subject() != authority.issuer() {
                let period = self.check_unrevoked(authority, issuer, Role::Authority, now)?;
                validity = validity.intersection(period);
            }
            issuer = authority;
        }
        let check = at(Role::SigningKey);
        signer.check_issued_by(issuer).map_err(&check)?;
        signer.check_end_entity().map_err(&check)?;
        let period = signer.check_validity(now).map_err(&check)?;
        let list = self.check_unrevoked(signer, issuer, Role::SigningKey, now)?;
        let validity = validity.intersection(period).intersection(list);
        let check = at(Role::HostKey);
        if !are_alike(document.issuer(), signer.subject()) {
            return Err(Error::Issuer);
        }
        document.check_signed_by(signer).map_err(&check)?;
        check_key_identifier(document, signer)?;
        document.check_end_entity().map_err(&check)?;
        let period = document.check_validity(now).map_err(&check)?;
        let list = self.check_unrevoked(document, signer, Role::HostKey, now)?;
        Ok(VerifiedHostKey {
            key_digest: document.key_digest().map_err(&check)?,
            signer: signer.subject().to_string(),
            root: root.subject().to_string(),
            anchor,
            validity: validity.intersection(period).intersection(list),
        })
    }

    /// The certificates above the signer's, up to one that names itself as its issuer.
    fn authorities(&self) -> Result<Vec<&Certificate<'_>>, Error> {
        let mut chain = Vec::new();
        let mut last = self.signer;
        loop {
            if chain.len() == MAX_AUTHORITIES {
                return Err(Error::ChainLength);
            }
            let named = |one: &&Certificate<'_>| one.subject() == last.issuer();
            let issuing = |one: &&Certificate<'_>| last.check_issued_by(one).is_ok();
            let issuer = self.others.iter().find(issuing);
            // Another of that name, for which verification will say what is wrong.
            let issuer = issuer.or_else(|| self.others.iter().find(named));
            last = issuer.ok_or(Error::Missing(Role::Authority))?;
            chain.push(last);
            if last.subject() == last.issuer() {
                return Ok(chain);
            }
        }
    }

    /// Checks that no list of `issuer`'s names the certificate, and that there is one that is
    /// fresh; gives the period in which that holds.
    fn check_unrevoked(
        &self,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        role: Role,
        now: UnixTime,
    ) -> Result<Validity, Error> {
        let mut period: Option<Validity> = None;
        let mut refusal = Error::Missing(Role::Revocations);
        for list in self.lists {
            let named = RevocationList::peek(list)
                .is_some_and(|(name, _)| are_alike(&name, issuer.subject()));
            if !named {
                continue;
            }
            // IBM's signing key is not certified for lists, and its lists name it otherwise.
            match RevocationList::verify_signed_by(list, issuer, Vendor::Ibm, now) {
                Ok(list) if list.revokes(certificate) => return Err(Error::Revoked(role)),
                Ok(list) => period = Some(list.period()),
                Err(error) => refusal = at(Role::Revocations)(error),
            }
        }
        period.ok_or(refusal)
    }
}

/// Checks that the document names the signer's key as its issuer's, where it names one (RFC
/// 5280, section 4.2.1.1).
fn check_key_identifier(document: &Certificate<'_>, signer: &Certificate<'_>) -> Result<(), Error> {
    let malformed = |_| at(Role::HostKey)(CertificateError::Malformed);
    let Some(named) = document.extension(AUTHORITY_KEY_IDENTIFIER) else {
        return Ok(());
    };
    let named = AuthorityKeyIdentifier::from_der(named).map_err(malformed)?;
    let own = signer.extension(SUBJECT_KEY_IDENTIFIER);
    let own = own.and_then(|own| <&OctetStringRef>::from_der(own).ok());
    match (named.key_identifier, own) {
        (Some(named), Some(own)) if named.as_bytes() != own.as_bytes() => Err(Error::KeyIdentifier),
        _ => Ok(()),
    }
}

/// Names the certificate in an error.
fn at(role: Role) -> impl Fn(CertificateError) -> Error {
    move |error| Error::Certificate { role, error }
}
