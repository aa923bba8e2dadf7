//! What JSON documents hold.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};

use crate::text;

use super::{
    Unrecognized,
    kind::{Kind, Recognized, binary},
    pem::certificates_and_lists,
};

/// Largest JSON document looked at; Intel's largest have some 60 KiB, and lists of many GPUs
/// not more than twice that.
pub(super) const MAX_JSON_BYTES: usize = 256 * 1024;

/// The keys by which documents are told apart. Values that are not taken over are not kept:
/// parsed, they would take many times the memory of their text.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(rename = "tcbInfo")]
    tcb_info: Option<IgnoredAny>,
    #[serde(rename = "enclaveIdentity")]
    enclave_identity: Option<IgnoredAny>,
    signature: Option<IgnoredAny>,
    hcl_report: Option<IgnoredAny>,
    tpm_quote: Option<IgnoredAny>,
    report: Option<IgnoredAny>,
    quote: Option<Quote<'a>>,
    #[serde(borrow)]
    cc_eventlog: Option<Cow<'a, str>>,
    #[serde(rename = "vcekCert")]
    vcek: Option<String>,
    #[serde(rename = "certificateChain")]
    chain: Option<String>,
    tcb_info_signature: Option<IgnoredAny>,
    device_evidence_list: Option<IgnoredAny>,
}

/// A quote as text, or something of a TPM's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quote<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

/// By the keys that a document of the kind has.
pub(super) fn object(text: &str) -> Result<Vec<Recognized>, Unrecognized> {
    let unknown = Unrecognized::Unknown;
    let keys: Keys<'_> = serde_json::from_str(text).map_err(|_| unknown)?;
    // What Azure's hosts give out about their processor (THIM).
    if let Some(vcek) = keys.vcek {
        return certificates_and_lists(&[vcek, keys.chain.unwrap_or_default()].concat());
    }
    if keys.tcb_info_signature.is_some() {
        return collateral(text).ok_or(unknown);
    }
    if keys.device_evidence_list.is_some() {
        let list: DeviceList = serde_json::from_str(text).map_err(|_| unknown)?;
        return list_of_devices(&list.device_evidence_list).ok_or(unknown);
    }
    let signed = keys.signature.is_some();
    let kind = match keys.quote {
        _ if keys.tcb_info.is_some() && signed => Kind::TcbInfo,
        _ if keys.enclave_identity.is_some() && signed => Kind::QeIdentity,
        _ if keys.hcl_report.is_some() && keys.tpm_quote.is_some() => Kind::AzureEvidence,
        Some(_) if keys.report.is_some() => Kind::AzureEvidence,
        Some(Quote::Text(quote)) => return td(&quote, keys.cc_eventlog.as_deref()).ok_or(unknown),
        _ => return Err(unknown),
    };
    Ok(vec![Recognized::new(kind, text)])
}

/// A quote with the event log of its TD, as agents in guests write them down.
fn td(quote: &str, event_log: Option<&str>) -> Option<Vec<Recognized>> {
    let quote = text::octets(quote)?;
    let mut found = vec![Recognized::new(
        binary(&quote).filter(|kind| *kind == Kind::Quote)?,
        quote,
    )];
    if let Some(log) = event_log.filter(|log| !log.is_empty()) {
        let log = text::octets(log)?;
        let kind = binary(&log).filter(|kind| *kind == Kind::EventLog)?;
        found.push(Recognized::new(kind, log));
    }
    Some(found)
}

/// All that Intel publishes for a quote in one document, as verifiers keep it: the signed
/// texts beside their signatures, the lists in hexadecimal.
#[derive(Deserialize)]
struct Collateral {
    tcb_info: String,
    tcb_info_signature: String,
    qe_identity: String,
    qe_identity_signature: String,
    root_ca_crl: String,
    pck_crl: String,
    #[serde(default)]
    tcb_info_issuer_chain: String,
    #[serde(default)]
    qe_identity_issuer_chain: String,
    #[serde(default)]
    pck_crl_issuer_chain: String,
    pck_certificate_chain: Option<String>,
}

fn collateral(text: &str) -> Option<Vec<Recognized>> {
    let collateral: Collateral = serde_json::from_str(text).ok()?;
    let signed =
        |key, contents, signature| format!(r#"{{"{key}":{contents},"signature":"{signature}"}}"#);
    let tcb_info = signed(
        "tcbInfo",
        collateral.tcb_info,
        collateral.tcb_info_signature,
    );
    let qe_identity = signed(
        "enclaveIdentity",
        collateral.qe_identity,
        collateral.qe_identity_signature,
    );
    let mut found = vec![
        Recognized::new(Kind::TcbInfo, tcb_info),
        Recognized::new(Kind::QeIdentity, qe_identity),
    ];
    for list in [collateral.root_ca_crl, collateral.pck_crl] {
        let list = text::octets(&list)?;
        let kind = binary(&list).filter(|kind| *kind == Kind::RevocationList)?;
        found.push(Recognized::new(kind, list));
    }
    let mut chains = vec![
        collateral.tcb_info_issuer_chain,
        collateral.qe_identity_issuer_chain,
        collateral.pck_crl_issuer_chain,
    ];
    chains.extend(collateral.pck_certificate_chain);
    for chain in chains {
        found.extend(certificates_and_lists(&chain).ok()?);
    }
    Some(found)
}

/// One of NVIDIA's devices, with its report and its chain in base64.
#[derive(Deserialize)]
struct Device {
    evidence: String,
    certificate: String,
}

/// A list of NVIDIA's devices in an object.
#[derive(Deserialize)]
struct DeviceList {
    device_evidence_list: Vec<Device>,
}

/// A list of NVIDIA's devices.
pub(super) fn devices(text: &str) -> Option<Vec<Recognized>> {
    let devices: Vec<Device> = serde_json::from_str(text).ok()?;
    list_of_devices(&devices)
}

fn list_of_devices(devices: &[Device]) -> Option<Vec<Recognized>> {
    let mut found = Vec::new();
    for device in devices {
        let report = text::base64(&device.evidence)?;
        let kind = binary(&report).filter(|kind| *kind == Kind::NvidiaReport)?;
        found.push(Recognized::new(kind, report));
        let chain = String::from_utf8(text::base64(&device.certificate)?).ok()?;
        found.extend(certificates_and_lists(&chain).ok()?);
    }
    Some(found).filter(|found| !found.is_empty())
}
