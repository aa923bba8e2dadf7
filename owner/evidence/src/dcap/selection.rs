//! Choosing collateral for a quote among files.
//!
//! Nothing here is verified: a wrong choice makes verification fail, and no more.

use x509_cert::name::Name;

use crate::{UnixTime, Validity, x509::RevocationList};

use super::{
    CertificateRole, CollateralBytes, DocumentRole, Error, Kind, Quote,
    chain::{claimed_pck, read_certificates},
    document,
};

/// Files that may be collateral for a quote, or for other quotes.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// TCB infos.
    pub tcb_infos: &'a [&'a [u8]],
    /// Identities of quoting enclaves.
    pub qe_identities: &'a [&'a [u8]],
    /// Certificates, in DER or PEM, those in the quote left out or not.
    pub certificates: &'a [&'a [u8]],
    /// Revocation lists, in DER.
    pub revocation_lists: &'a [&'a [u8]],
}

impl<'a> Candidates<'a> {
    /// Chooses what `quote` needs: of its platform and TEE, holding at the time `now`, and
    /// else the newest.
    ///
    /// # Errors
    ///
    /// [`Error::MissingDocument`] or [`Error::Missing`] when there is no candidate at all;
    /// others when the quote's certificates cannot be read.
    pub fn choose(&self, quote: &Quote<'_>, now: UnixTime) -> Result<CollateralBytes<'a>, Error> {
        let chain = read_certificates(&[quote.pck_chain()?])?;
        let pck = claimed_pck(&chain)?;
        let (kind, fmspc) = (quote.body().kind(), pck.platform.fmspc);

        let tcb_infos = self.tcb_infos.iter().filter_map(|bytes| {
            let contents = document::tcb_info(bytes).ok()?.contents;
            let tdx = contents.id.as_deref() == Some("TDX");
            let period = period(contents.issue_date, contents.next_update);
            let fits = contents.fmspc.0 == fmspc && tdx == (kind == Kind::Tdx);
            fits.then_some((*bytes, period))
        });
        let qe_identities = self.qe_identities.iter().filter_map(|bytes| {
            let contents = document::identity(bytes).ok()?.contents;
            let tdx = contents.id == "TD_QE";
            let period = period(contents.issue_date, contents.next_update);
            (tdx == (kind == Kind::Tdx)).then_some((*bytes, period))
        });
        let missing = |role| Error::Missing(role);
        let document = |role| Error::MissingDocument(role);
        Ok(CollateralBytes {
            tcb_info: best(tcb_infos, now).ok_or(document(DocumentRole::TcbInfo))?,
            qe_identity: best(qe_identities, now).ok_or(document(DocumentRole::QeIdentity))?,
            certificates: self.certificates,
            pck_revocations: self
                .list_of(Some(&pck.authority), now)
                .ok_or(missing(CertificateRole::PckRevocations))?,
            root_revocations: self
                .list_of(pck.root.as_ref(), now)
                .ok_or(missing(CertificateRole::RootRevocations))?,
        })
    }

    /// The best list of an authority's.
    fn list_of(&self, authority: Option<&Name>, now: UnixTime) -> Option<&'a [u8]> {
        let lists = self.revocation_lists.iter().filter_map(|bytes| {
            let (issuer, period) = RevocationList::peek(bytes)?;
            (Some(&issuer) == authority).then_some((*bytes, period))
        });
        best(lists, now)
    }
}

fn period(issued: document::Date, next_update: document::Date) -> Validity {
    Validity {
        not_before: issued.0,
        not_after: next_update.0,
    }
}

/// The newest of those that hold at the time `now`, else the newest of all.
fn best<'a>(
    candidates: impl Iterator<Item = (&'a [u8], Validity)>,
    now: UnixTime,
) -> Option<&'a [u8]> {
    candidates
        .max_by_key(|(_, period)| (period.contains(now), period.not_before))
        .map(|(bytes, _)| bytes)
}
