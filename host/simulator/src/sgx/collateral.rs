//! What Intel would publish about the simulated platform (*Intel SGX and TDX Provisioning
//! Certification Service API*, version 4): one TCB level, which the platform is at.

use aws_lc_rs::signature::EcdsaKeyPair;
use serde_json::{Value, json};

use super::{certificate, platform, quoting::Tee};
use crate::tdx::{MODULE_SIGNER, MODULE_SVN, sha384};
use crate::x509::{CertificateError, Period};

/// There is one evaluation, and there will be no other.
const EVALUATION_NUMBER: u32 = 1;

/// TCB info of version 3, signed.
pub(super) fn tcb_info(
    tee: Tee,
    period: Period,
    key: &EcdsaKeyPair,
) -> Result<Vec<u8>, CertificateError> {
    let mut contents = json!({
        "id": match tee {
            Tee::Enclave => "SGX",
            Tee::TrustDomain => "TDX",
        },
        "version": 3,
        "issueDate": period.start.to_string(),
        "nextUpdate": period.end.to_string(),
        "fmspc": hex::encode_upper(platform::FMSPC),
        "pceId": hex::encode_upper(platform::PCE_ID),
        "tcbType": 0,
        "tcbEvaluationDataNumber": EVALUATION_NUMBER,
        "tcbLevels": [{
            "tcb": {
                "sgxtcbcomponents": components(platform::COMPONENTS),
                "pcesvn": platform::PCE_SVN,
            },
            "tcbDate": period.start.to_string(),
            "tcbStatus": "UpToDate",
        }],
    });
    if tee == Tee::TrustDomain {
        add_module(&mut contents, period);
    }
    sign("tcbInfo", &contents, key)
}

/// What TCB info for trust domains has beyond that for enclaves: which TDX modules there are.
fn add_module(contents: &mut Value, period: Period) {
    let [svn, version, ..] = MODULE_SVN;
    let module = json!({
        "mrsigner": hex::encode_upper(sha384(MODULE_SIGNER)),
        "attributes": "0000000000000000",
        "attributesMask": "FFFFFFFFFFFFFFFF",
    });
    let mut identity = module.clone();
    identity["id"] = format!("TDX_{version:02X}").into();
    identity["tcbLevels"] = json!([{
        "tcb": { "isvsvn": svn },
        "tcbDate": period.start.to_string(),
        "tcbStatus": "UpToDate",
    }]);
    contents["tdxModule"] = module;
    contents["tdxModuleIdentities"] = json!([identity]);
    contents["tcbLevels"][0]["tcb"]["tdxtcbcomponents"] = components(MODULE_SVN);
}

fn components(versions: [u8; 16]) -> Value {
    json!(versions.map(|svn| json!({ "svn": svn })))
}

/// A quoting enclave's identity of version 2, signed.
pub(super) fn qe_identity(
    tee: Tee,
    period: Period,
    key: &EcdsaKeyPair,
) -> Result<Vec<u8>, CertificateError> {
    let enclave = tee.quoting_enclave();
    let contents = json!({
        "id": match tee {
            Tee::Enclave => "QE",
            Tee::TrustDomain => "TD_QE",
        },
        "version": 2,
        "issueDate": period.start.to_string(),
        "nextUpdate": period.end.to_string(),
        "tcbEvaluationDataNumber": EVALUATION_NUMBER,
        "miscselect": hex::encode_upper(enclave.misc_select.to_le_bytes()),
        "miscselectMask": "FFFFFFFF",
        "attributes": hex::encode_upper(enclave.attributes.to_bytes()),
        "attributesMask": "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        "mrsigner": hex::encode_upper(enclave.mrsigner),
        "isvprodid": enclave.isv_prod_id,
        "tcbLevels": [{
            "tcb": { "isvsvn": enclave.isv_svn },
            "tcbDate": period.start.to_string(),
            "tcbStatus": "UpToDate",
        }],
    });
    sign("enclaveIdentity", &contents, key)
}

/// A document is an object of `contents`, under `name`, and of the signature over its text.
fn sign(name: &str, contents: &Value, key: &EcdsaKeyPair) -> Result<Vec<u8>, CertificateError> {
    let text = contents.to_string();
    let signature = hex::encode(certificate::sign(key, text.as_bytes())?);
    Ok(format!(r#"{{"{name}":{text},"signature":"{signature}"}}"#).into_bytes())
}
