//! What Intel would publish about the simulated platform (*Intel SGX and TDX Provisioning
//! Certification Service API*, version 4): one TCB level, which the platform is at.

use aws_lc_rs::signature::EcdsaKeyPair;
use serde_json::{Value, json};

use super::{certificate, platform, quoting};
use crate::x509::{CertificateError, Period};

/// There is one evaluation, and there will be no other.
const EVALUATION_NUMBER: u32 = 1;

/// TCB info of version 3, signed.
pub(super) fn tcb_info(period: Period, key: &EcdsaKeyPair) -> Result<Vec<u8>, CertificateError> {
    let components = platform::COMPONENTS.map(|svn| json!({ "svn": svn }));
    let contents = json!({
        "id": "SGX",
        "version": 3,
        "issueDate": period.start.to_string(),
        "nextUpdate": period.end.to_string(),
        "fmspc": hex::encode_upper(platform::FMSPC),
        "pceId": hex::encode_upper(platform::PCE_ID),
        "tcbType": 0,
        "tcbEvaluationDataNumber": EVALUATION_NUMBER,
        "tcbLevels": [{
            "tcb": {
                "sgxtcbcomponents": components,
                "pcesvn": platform::PCE_SVN,
            },
            "tcbDate": period.start.to_string(),
            "tcbStatus": "UpToDate",
        }],
    });
    sign("tcbInfo", &contents, key)
}

/// The quoting enclave's identity of version 2, signed.
pub(super) fn qe_identity(period: Period, key: &EcdsaKeyPair) -> Result<Vec<u8>, CertificateError> {
    let enclave = quoting::identity();
    let contents = json!({
        "id": "QE",
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
