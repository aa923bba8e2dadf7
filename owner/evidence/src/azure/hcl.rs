//! The paravisor's report (HCL report).

use aws_lc_rs::{
    digest::{Algorithm, SHA256, SHA384, SHA512, digest},
    signature::RsaPublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{bytes::Bytes, snp::Report};

use super::{Error, error::in_the};

/// Largest report looked at; real ones have 2600 bytes.
const MAX_REPORT_BYTES: usize = 64 * 1024;
/// What every report begins with.
pub(crate) const SIGNATURE: [u8; 4] = *b"HCLA";
/// Bytes of the header behind the signature.
const HEADER_BYTES: usize = 28;
/// Bytes kept for the hardware's report: those of an SEV-SNP report.
const HARDWARE_BYTES: usize = 1184;
/// The report type of SEV-SNP, and that of TDX.
const SNP: u32 = 2;
/// See [`SNP`].
const TDX: u32 = 4;
/// The identifier of the TPM's attestation key among the keys.
const ATTESTATION_KEY: &str = "HCLAkPub";

/// A report, read but not verified.
#[derive(Debug, Clone)]
pub(super) struct HclReport {
    /// The hardware's report: of SEV-SNP all of it, of TDX one that only its machine can
    /// verify.
    pub(super) hardware: Vec<u8>,
    pub(super) is_snp: bool,
    hash: &'static Algorithm,
    runtime_data: Vec<u8>,
    key: RsaPublicKeyComponents<Vec<u8>>,
}

/// The SEV-SNP report in a paravisor's report, which must vouch for the runtime data beside it.
///
/// # Errors
///
/// The first thing found wrong; [`Error::Field`] for a TD's, which has only what its own
/// machine can verify.
pub fn snp_report(hcl_report: &[u8]) -> Result<Vec<u8>, Error> {
    let report = HclReport::parse(hcl_report)?;
    if !report.is_snp {
        return Err(Error::Field("td_quote"));
    }
    let parsed = Report::parse(&report.hardware);
    let parsed = parsed.map_err(|_| Error::Malformed("SEV-SNP report"))?;
    report.check(&parsed.report_data)?;
    Ok(report.hardware)
}

impl HclReport {
    pub(super) fn parse(report: &[u8]) -> Result<Self, Error> {
        const NAME: &str = "HCL report";
        if report.len() > MAX_REPORT_BYTES {
            return Err(Error::TooLarge);
        }
        let mut bytes = Bytes(report);
        if bytes.array().map_err(in_the(NAME))? != SIGNATURE {
            return Err(Error::Malformed(NAME));
        }
        bytes.take(HEADER_BYTES).map_err(in_the(NAME))?;
        let hardware = bytes.take(HARDWARE_BYTES).map_err(in_the(NAME))?.to_vec();
        let mut number = || bytes.u32().map_err(in_the(NAME));
        let [_size, _version, kind, hash, length] =
            [number()?, number()?, number()?, number()?, number()?];
        let is_snp = match kind {
            SNP => true,
            TDX => false,
            _ => return Err(Error::Malformed(NAME)),
        };
        let hash = match hash {
            1 => &SHA256,
            2 => &SHA384,
            3 => &SHA512,
            _ => return Err(Error::Malformed(NAME)),
        };
        let length = usize::try_from(length).map_err(|_| Error::Malformed(NAME))?;
        let runtime_data = bytes.take(length).map_err(in_the(NAME))?.to_vec();
        let key = attestation_key(&runtime_data).ok_or(Error::Malformed("runtime data"))?;
        Ok(Self {
            hardware,
            is_snp,
            hash,
            runtime_data,
            key,
        })
    }

    /// Checks that the hardware's report data is the digest of the runtime data, with zeros
    /// behind it.
    pub(super) fn check(&self, report_data: &[u8]) -> Result<(), Error> {
        let digest = digest(self.hash, &self.runtime_data);
        let rest = report_data.strip_prefix(digest.as_ref());
        match rest {
            Some(rest) if rest.iter().all(|byte| *byte == 0) => Ok(()),
            _ => Err(Error::RuntimeData),
        }
    }

    /// The TPM's attestation key.
    pub(super) fn key(&self) -> &RsaPublicKeyComponents<Vec<u8>> {
        &self.key
    }
}

/// The key named [`ATTESTATION_KEY`], of which there must be one.
fn attestation_key(runtime_data: &[u8]) -> Option<RsaPublicKeyComponents<Vec<u8>>> {
    let value: Value = serde_json::from_slice(runtime_data).ok()?;
    let keys = value.get("keys")?.as_array()?;
    let named = |key: &&Value| key.get("kid").and_then(Value::as_str) == Some(ATTESTATION_KEY);
    let mut named = keys.iter().filter(named);
    let key = named.next()?;
    if named.next().is_some() || key.get("kty")?.as_str()? != "RSA" {
        return None;
    }
    let number = |name| {
        let text = key.get(name)?.as_str()?.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).ok()
    };
    Some(RsaPublicKeyComponents {
        n: number("n")?,
        e: number("e")?,
    })
}
