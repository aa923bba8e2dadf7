//! What Intel publishes about its platforms, verified once for many quotes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey},
};

use crate::{
    Digest, UnixTime, Validity,
    x509::{Certificate, RevocationList, Vendor},
};

use super::{
    CertificateRole, DocumentRole, Error, Kind, Platform, Quote, TrustAnchors, VerifiedQuote,
    chain::{Chain, at, check_name, read_certificates},
    document,
    identity::QeIdentity,
    tcb_info::TcbInfo,
};

/// Most platforms whose certificates are remembered.
const MAX_PLATFORMS: usize = 64;

/// Collateral as Intel's service (PCS) or a cache of it (PCCS) gives it. None of it is
/// trusted before it is verified.
#[derive(Debug, Clone, Copy)]
pub struct CollateralBytes<'a> {
    /// TCB info: the JSON document with its signature.
    pub tcb_info: &'a [u8],
    /// Identity of the quoting enclave: the JSON document with its signature.
    pub qe_identity: &'a [u8],
    /// Certificates, in PEM or DER, in any order and number of files: that of the TCB
    /// signing key, and of the root.
    pub certificates: &'a [&'a [u8]],
    /// The revocation list, in DER, of the authority that issued the PCK certificate.
    pub pck_revocations: &'a [u8],
    /// The root's revocation list, in DER.
    pub root_revocations: &'a [u8],
}

/// Verified collateral for one kind of platform (one FMSPC), and one TEE.
///
/// It can verify any number of quotes, from several threads; certificates of platforms
/// that it has seen are remembered, so that a further quote of theirs costs two
/// signatures. That nothing has expired is checked each time.
#[derive(Debug)]
pub struct Collateral<R: TrustAnchors> {
    anchors: R,
    tcb_info: TcbInfo,
    qe_identity: QeIdentity,
    root_revocations: RevocationList,
    pck_revocations: Vec<u8>,
    anchor: Digest,
    anchor_name: String,
    validity: Validity,
    issued: UnixTime,
    platforms: Mutex<Vec<Arc<PlatformKey>>>,
}

/// The key of a platform whose chain of certificates was verified.
#[derive(Debug)]
pub(super) struct PlatformKey {
    /// SHA-256 of the chain as it stands in the quote.
    chain_digest: [u8; 32],
    pub(super) key: ParsedPublicKey,
    pub(super) platform: Platform,
    pub(super) authority_name: String,
    pub(super) validity: Validity,
    /// When the list was issued that does not name the platform.
    pub(super) list_issued: UnixTime,
}

impl<R: TrustAnchors> Collateral<R> {
    /// Verifies collateral at the time `now`.
    ///
    /// # Errors
    ///
    /// The first thing found wrong: something does not lead to one of `anchors`, is not
    /// signed, revoked, or not fresh.
    pub fn verify(bytes: &CollateralBytes<'_>, anchors: R, now: UnixTime) -> Result<Self, Error> {
        let certificates = read_certificates(bytes.certificates)?;
        let signers = Signers::find(&certificates, &anchors, now)?;
        let root_revocations =
            RevocationList::verify(bytes.root_revocations, &signers.root, Vendor::Ecdsa, now)
                .map_err(at(CertificateRole::RootRevocations))?;
        let of = |role| move |error| Error::Document { role, error };
        let role = DocumentRole::TcbInfo;
        let read = document::tcb_info(bytes.tcb_info).map_err(of(role))?;
        let tcb_signer = signers.check(read.signed, &read.signature, &root_revocations, role)?;
        let tcb_info = TcbInfo::new(read.contents, now).map_err(of(role))?;
        let role = DocumentRole::QeIdentity;
        let read = document::identity(bytes.qe_identity).map_err(of(role))?;
        let qe_signer = signers.check(read.signed, &read.signature, &root_revocations, role)?;
        let qe_identity = QeIdentity::new(read.contents, now).map_err(of(role))?;
        if qe_identity.kind != tcb_info.kind {
            return Err(Error::CollateralKinds);
        }
        let periods = [
            tcb_info.period,
            qe_identity.period,
            root_revocations.period(),
        ];
        let oldest = periods.iter().map(|period| period.not_before).min();
        Ok(Self {
            anchor: signers.anchor,
            anchor_name: signers.root.common_name(),
            validity: periods
                .into_iter()
                .chain([tcb_signer, qe_signer])
                .fold(signers.root_validity, Validity::intersection),
            issued: oldest.unwrap_or(now),
            anchors,
            tcb_info,
            qe_identity,
            root_revocations,
            pck_revocations: bytes.pck_revocations.to_vec(),
            platforms: Mutex::new(Vec::new()),
        })
    }

    /// Verifies a quote at the time `now`: that a platform which Intel certified made it,
    /// with Intel's quoting enclave, and what Intel thinks of that platform's TCB.
    ///
    /// Whether the status that comes out is good enough, and whether debugging is
    /// allowed, is for the policy; only what Intel has revoked, or does not know, is
    /// refused here.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn verify_quote(
        &self,
        quote: &[u8],
        now: UnixTime,
    ) -> Result<VerifiedQuote<R::Assurance>, Error> {
        if !self.validity.contains(now) {
            return Err(Error::OutsideValidity { now });
        }
        let quote = Quote::parse(quote)?;
        if quote.body().kind() != self.tcb_info.kind {
            return Err(Error::CollateralKind {
                quote: quote.body().kind(),
            });
        }
        let key = self.platform_key(quote.pck_chain()?, now)?;
        let (platform, tcb_info) = (&key.platform, &self.tcb_info);
        if platform.fmspc != tcb_info.fmspc {
            return Err(Error::Fmspc {
                quote: platform.fmspc,
                collateral: tcb_info.fmspc,
            });
        }
        if platform.pce_id != tcb_info.pce_id {
            return Err(Error::PceId {
                quote: platform.pce_id,
                collateral: tcb_info.pce_id,
            });
        }
        quote.check_signatures(&key.key)?;
        VerifiedQuote::judge(self, quote, &key)
    }

    /// The TEE that it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.tcb_info.kind
    }

    /// The kind of platform that it is for.
    #[must_use]
    pub fn fmspc(&self) -> [u8; 6] {
        self.tcb_info.fmspc
    }

    /// When all of it holds, the PCK certificates and their list apart.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    pub(super) fn tcb_info(&self) -> &TcbInfo {
        &self.tcb_info
    }

    pub(super) fn qe_identity(&self) -> &QeIdentity {
        &self.qe_identity
    }

    pub(super) fn anchor(&self) -> (Digest, &str) {
        (self.anchor, &self.anchor_name)
    }

    pub(super) fn issued(&self) -> UnixTime {
        self.issued
    }

    /// The key at the end of the chain `pem`: remembered, or verified now.
    fn platform_key(&self, pem: &[u8], now: UnixTime) -> Result<Arc<PlatformKey>, Error> {
        let chain_digest = digest(&SHA256, pem);
        let known = self
            .platforms()
            .iter()
            .find(|known| known.chain_digest == *chain_digest.as_ref())
            .map(Arc::clone);
        if let Some(known) = known
            && known.validity.contains(now)
        {
            return Ok(known);
        }
        // Other threads need not wait for this.
        let verified = Arc::new(self.verify_platform(pem, chain_digest.as_ref(), now)?);
        let mut platforms = self.platforms();
        platforms.retain(|known| known.chain_digest != verified.chain_digest);
        if platforms.len() == MAX_PLATFORMS {
            platforms.remove(0);
        }
        platforms.push(Arc::clone(&verified));
        Ok(verified)
    }

    fn platforms(&self) -> MutexGuard<'_, Vec<Arc<PlatformKey>>> {
        self.platforms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn verify_platform(
        &self,
        pem: &[u8],
        chain_digest: &[u8],
        now: UnixTime,
    ) -> Result<PlatformKey, Error> {
        let certificates = read_certificates(&[pem])?;
        let certificates: Vec<_> = certificates.iter().map(|der| &**der).collect();
        let chain = Chain::verify(&certificates, &self.anchors, now)?;
        // Both chains end at anchors; the root's list must be by this chain's root.
        let root = chain.root.key_digest();
        if root.map_err(at(CertificateRole::Root))? != self.anchor {
            return Err(Error::UntrustedRoot);
        }
        if self.root_revocations.revokes(&chain.authority) {
            return Err(Error::Revoked(CertificateRole::PckAuthority));
        }
        let list =
            RevocationList::verify(&self.pck_revocations, &chain.authority, Vendor::Ecdsa, now)
                .map_err(at(CertificateRole::PckRevocations))?;
        if list.revokes(&chain.pck) {
            return Err(Error::Revoked(CertificateRole::Pck));
        }
        let point = chain.pck.p256_key().ok_or(Error::PckKey)?;
        Ok(PlatformKey {
            chain_digest: chain_digest.try_into().map_err(|_| Error::PckKey)?,
            key: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .map_err(|_| Error::PckKey)?,
            validity: chain.validity.intersection(list.period()),
            list_issued: list.period().not_before,
            authority_name: chain.authority.common_name(),
            platform: chain.platform,
        })
    }
}

/// Who may sign TCB info and identities.
struct Signers<'a> {
    /// At least one. Intel has renewed the certificate with the same key.
    certificates: Vec<(Certificate<'a>, Validity)>,
    root: Certificate<'a>,
    root_validity: Validity,
    anchor: Digest,
}

impl<'a> Signers<'a> {
    /// Finds them among `certificates`, of which others are ignored.
    fn find<R: TrustAnchors>(
        certificates: &'a [Vec<u8>],
        anchors: &R,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let mut root = None;
        let mut others = Vec::new();
        for der in certificates {
            // Another vendor's may lie there too.
            let Ok(certificate) = Certificate::parse(der, Vendor::Ecdsa) else {
                continue;
            };
            let digest = certificate
                .key_digest()
                .map_err(at(CertificateRole::Root))?;
            if certificate.subject() != certificate.issuer() {
                others.push(certificate);
            } else if root.is_none() && anchors.contains(&digest, &certificate.common_name()) {
                root = Some((certificate, digest));
            }
        }
        let Some((root, anchor)) = root else {
            return Err(Error::Missing(CertificateRole::Root));
        };
        let role = at(CertificateRole::Root);
        root.check_issued_by(&root).map_err(&role)?;
        root.check_authority(0).map_err(&role)?;
        let root_validity = root.check_validity(now).map_err(&role)?;
        let mut certificates = Vec::new();
        let mut refusal = Error::Missing(CertificateRole::TcbSigning);
        for other in others {
            if check_name(&other, CertificateRole::TcbSigning).is_err() {
                continue;
            }
            let checked = other
                .check_issued_by(&root)
                .and_then(|()| other.check_end_entity())
                .and_then(|()| other.check_validity(now));
            match checked {
                Ok(validity) => certificates.push((other, validity)),
                Err(error) => refusal = at(CertificateRole::TcbSigning)(error),
            }
        }
        if certificates.is_empty() {
            return Err(refusal);
        }
        Ok(Self {
            certificates,
            root,
            root_validity,
            anchor,
        })
    }

    /// Checks the signature under a document; gives the period in which its signer may sign.
    fn check(
        &self,
        signed: &[u8],
        signature: &[u8],
        root_revocations: &RevocationList,
        role: DocumentRole,
    ) -> Result<Validity, Error> {
        for (certificate, validity) in &self.certificates {
            let point = certificate.p256_key().ok_or(Error::SignerKey)?;
            let verified =
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature);
            if verified.is_err() {
                continue;
            }
            if root_revocations.revokes(certificate) {
                return Err(Error::Revoked(CertificateRole::TcbSigning));
            }
            return Ok(*validity);
        }
        Err(Error::DocumentSignature(role))
    }
}
