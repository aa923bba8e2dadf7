//! The JSON messages.
//!
//! A request with an unknown key is refused; an answer may gain keys that an
//! older client passes over.

use serde::{Deserialize, Serialize};

use crate::{
    HOST_DATA_SIZE, HexBytes, KeepEnd, KeepId, KeepState, MAX_NAME_BYTES, NONCE_SIZE, Operation,
};

/// Asks for a new Keep ([`crate::Operation::Start`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// The backend's name, one of [`HostInfo::backends`].
    pub backend: String,
    /// Whether a simulated TEE shall stand in for the real one. A host never
    /// decides this by itself.
    #[serde(default)]
    pub simulate: bool,
    /// The owner's nonce, that the Keep's evidence shall bind.
    pub nonce: HexBytes<NONCE_SIZE>,
    /// Memory of the Keep in bytes, a multiple of 4096. It is measured.
    pub memory_bytes: u64,
    /// Whether compiled code checks every access to memory, in place of guard pages and
    /// signals. It is measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bounded_memory: bool,
    /// CPU time after which the host ends the Keep, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Whether the Keep shall be able to use the host's network. What it does there
    /// is its package's matter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// What the platform's evidence shall carry beside the measurement (SNP
    /// `HOST_DATA`); zeros when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_data: Option<HexBytes<HOST_DATA_SIZE>>,
    /// A name for listings, from 1 to 63 of `a`-`z`, `A`-`Z`, `0`-`9`, `.`, `_`,
    /// `-`. It need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl StartRequest {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    ///
    /// [`StartRequestError`] names the first field that is not allowed.
    pub fn check(&self) -> Result<(), StartRequestError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if let Some(name) = &self.name
            && !((1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed))
        {
            return Err(StartRequestError::Name);
        }
        if self.memory_bytes == 0 || !self.memory_bytes.is_multiple_of(4096) {
            return Err(StartRequestError::Memory);
        }
        if self.cpu_seconds == Some(0) {
            return Err(StartRequestError::CpuTime);
        }
        Ok(())
    }
}

/// What is wrong with a [`StartRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartRequestError {
    /// The name is empty, too long, or has other characters.
    #[error("`name` must be 1 to {MAX_NAME_BYTES} letters, digits, dots, underscores or hyphens")]
    Name,
    /// The memory is zero or no whole number of pages.
    #[error("`memory_bytes` must be a multiple of 4096 and more than 0")]
    Memory,
    /// The CPU time is zero.
    #[error("`cpu_seconds` must be more than 0")]
    CpuTime,
}

/// What a host is ([`crate::Operation::Host`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HostInfo {
    /// Always [`crate::SERVICE_NAME`].
    pub service: String,
    /// The version of this interface, [`crate::API_VERSION`].
    pub api_version: u32,
    /// The version of the host's program.
    pub version: String,
    /// Every backend that the host knows.
    pub backends: Vec<BackendInfo>,
    /// What the host allows.
    pub limits: HostLimits,
}

/// One backend of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BackendInfo {
    /// Its name: `process`, `sgx`, `kvm`, `snp`, `tdx` or `cvm`.
    pub name: String,
    /// Whether a Keep can start with the TEE of this machine.
    pub hardware: bool,
    /// Whether a Keep can start with a simulated TEE.
    pub simulation: bool,
}

/// What a host allows; an absent value is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HostLimits {
    /// Keeps that may live at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<u64>,
    /// Memory of one Keep in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_per_keep: Option<u64>,
    /// Memory of all living Keeps in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_total: Option<u64>,
    /// Size of a package's ciphertext in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_bytes: Option<u64>,
    /// Seconds that a Keep waits for its owner's next step before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// Whether Keeps may use the host's network.
    #[serde(default)]
    pub network: bool,
}

/// Every Keep of a host ([`crate::Operation::List`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeepList {
    /// The living Keeps and those that ended lately, oldest first.
    pub keeps: Vec<KeepInfo>,
}

/// What a host knows of one Keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeepInfo {
    /// Its identifier on this host.
    pub id: KeepId,
    /// The name that its owner gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The backend that runs it.
    pub backend: String,
    /// Whether its TEE is simulated.
    pub simulated: bool,
    /// What it is doing.
    pub state: KeepState,
    /// When it was started, RFC 3339 in UTC with milliseconds.
    pub started_at: String,
    /// When it ended, RFC 3339 in UTC with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<KeepEnd>,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// Package bytes relayed to it.
    pub package_bytes: u64,
    /// Session frames relayed to it.
    pub input_frames: u64,
    /// Bytes of those frames.
    pub input_bytes: u64,
    /// Session frames that came from it. The next frame gets this index.
    pub output_frames: u64,
    /// Bytes of those frames.
    pub output_bytes: u64,
    /// Index of the oldest frame that the host still holds; equal to
    /// `output_frames` when it holds none.
    pub output_first_frame: u64,
}

/// A Keep that was started, and what its evidence will be verified with
/// ([`crate::Operation::Start`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct StartedKeep {
    /// The Keep.
    #[serde(flatten)]
    pub keep: KeepInfo,
    /// What the evidence can be verified with, as the host has it. It is the machine's, so an
    /// owner can verify it while the Keep makes its offer.
    pub endorsements: Vec<Endorsement>,
}

/// A Keep's claims and evidence ([`crate::Operation::Offer`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct OfferResponse {
    /// Claims and evidence, CBOR (`wire/provision`); base64 in JSON.
    #[serde(with = "base64_text")]
    #[cfg_attr(feature = "openapi", schemars(with = "String", extend("contentEncoding" = "base64")))]
    pub offer: Vec<u8>,
}

/// Something by a platform's vendor that evidence is verified with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Endorsement {
    /// What it is.
    pub kind: EndorsementKind,
    /// A certificate or revocation list in DER, a table of such, or a signed document as its
    /// vendor wrote it; base64 in JSON.
    #[serde(with = "base64_text")]
    #[cfg_attr(feature = "openapi", schemars(with = "String", extend("contentEncoding" = "base64")))]
    pub bytes: Vec<u8>,
}

/// The kinds of endorsements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndorsementKind {
    /// AMD's key of one chip at one TCB version.
    SnpVcek,
    /// AMD's intermediate key of a product line.
    SnpAsk,
    /// AMD's root key of a product line.
    SnpArk,
    /// The table of certificates that a confidential VM's host hands out with its reports (AMD
    /// #56421), as it is.
    SnpCertificateTable,
    /// Intel's root, or a simulator's. The certificates from it to the platform's key are in
    /// the quote itself.
    DcapRoot,
    /// The certificate of the key that signs TCB info and identities.
    DcapTcbSigning,
    /// TCB info of the kind of platform, in JSON.
    DcapTcbInfo,
    /// The identity of the quoting enclave, in JSON.
    DcapQeIdentity,
    /// The root's revocation list.
    DcapRootRevocations,
    /// The revocation list of the authority that certified the platform's key.
    DcapPckRevocations,
    /// Something that this version of the interface does not know.
    #[serde(other)]
    Unrecognized,
}

/// The query of [`crate::Operation::Output`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OutputQuery {
    /// Index of the first frame that is wanted.
    #[serde(default)]
    pub from: u64,
    /// Whether to go on with new frames until the Keep has ended.
    #[serde(default)]
    pub follow: bool,
}

impl OutputQuery {
    /// The path of [`crate::Operation::Output`] for `keep` with this query.
    #[must_use]
    pub fn path_for(self, keep: KeepId) -> String {
        let path = Operation::Output.path_for(keep);
        format!("{path}?from={}&follow={}", self.from, self.follow)
    }
}

/// Bytes as base64 text (RFC 4648, section 4, padded).
mod base64_text {
    use std::borrow::Cow;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(&*text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> StartRequest {
        StartRequest {
            backend: "process".into(),
            simulate: true,
            nonce: HexBytes([1; NONCE_SIZE]),
            memory_bytes: 64 << 20,
            bounded_memory: false,
            cpu_seconds: None,
            network: false,
            host_data: None,
            name: Some("hello-1.x_y".into()),
        }
    }

    #[test]
    fn requests_are_read_back_and_checked() {
        let sent = request();
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<StartRequest>(&text).unwrap(), sent);
        assert_eq!(sent.check(), Ok(()));

        let long = "n".repeat(MAX_NAME_BYTES + 1);
        for name in ["", "a b", "a/b", "é", "a\n", &long] {
            let named = StartRequest {
                name: Some(name.into()),
                ..request()
            };
            assert_eq!(named.check(), Err(StartRequestError::Name), "{name:?}");
        }
        for memory_bytes in [0, 1, 4097, u64::MAX] {
            let sized = StartRequest {
                memory_bytes,
                ..request()
            };
            assert_eq!(sized.check(), Err(StartRequestError::Memory));
        }
        let timed = StartRequest {
            cpu_seconds: Some(0),
            ..request()
        };
        assert_eq!(timed.check(), Err(StartRequestError::CpuTime));
    }

    #[test]
    fn a_request_with_an_unknown_or_missing_key_is_refused() {
        let mut value = serde_json::to_value(request()).unwrap();
        value["simulated"] = true.into();
        let error = serde_json::from_value::<StartRequest>(value).unwrap_err();
        assert!(error.to_string().contains("simulated"), "{error}");
        assert!(serde_json::from_str::<StartRequest>(r#"{"backend":"process"}"#).is_err());
    }

    #[test]
    fn a_query_is_part_of_its_path() {
        let query = OutputQuery {
            from: 7,
            follow: true,
        };
        let path = query.path_for(KeepId::from_bytes([0; 16]));
        assert!(path.ends_with("00/output?from=7&follow=true"), "{path}");
    }

    #[test]
    fn offers_are_base64() {
        let offer = OfferResponse {
            offer: vec![0, 255, 16],
        };
        let value = serde_json::to_value(&offer).unwrap();
        assert_eq!(value["offer"], "AP8Q");
        assert_eq!(
            serde_json::from_value::<OfferResponse>(value).unwrap(),
            offer
        );
        assert!(serde_json::from_str::<OfferResponse>(r#"{"offer":"*"}"#).is_err());
    }

    #[test]
    fn newer_endorsements_are_understood() {
        let endorsement = Endorsement {
            kind: EndorsementKind::SnpVcek,
            bytes: vec![48],
        };
        let mut value = serde_json::to_value(&endorsement).unwrap();
        assert_eq!(value["kind"], "snp-vcek");
        assert_eq!(value["bytes"], "MA==");
        value["later"] = 1.into();
        value["kind"] = "sgx-epid".into();
        let newer = serde_json::from_value::<Endorsement>(value).unwrap();
        assert_eq!(newer.kind, EndorsementKind::Unrecognized);
    }
}
