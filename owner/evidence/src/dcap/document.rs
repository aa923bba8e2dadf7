//! Intel's signed JSON documents, as they are written.

use core::{fmt, marker::PhantomData};
use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use x509_cert::der::DateTime;

use crate::{UnixTime, Validity};

use super::{DocumentError, TcbStatus};

/// Largest document looked at; real ones have at most some 60 KiB.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// Most TCB levels of anything.
const MAX_LEVELS: usize = 1024;

/// A document with the text that its signature covers.
#[derive(Debug)]
pub(super) struct Signed<'a, T> {
    pub(super) contents: T,
    pub(super) signed: &'a [u8],
    pub(super) signature: [u8; 64],
}

impl<'a, T: Deserialize<'a>> Signed<'a, T> {
    fn read(signed: &'a RawValue, signature: Hexadecimal<64>) -> Result<Self, DocumentError> {
        let contents = serde_json::from_str(signed.get())
            .map_err(|error| DocumentError::Malformed(error.to_string()))?;
        Ok(Self {
            contents,
            signed: signed.get().as_bytes(),
            signature: signature.0,
        })
    }
}

/// Reads TCB info (Intel PCS API version 4, `Get TCB Info`).
pub(super) fn tcb_info(document: &[u8]) -> Result<Signed<'_, TcbInfoDocument>, DocumentError> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(rename = "tcbInfo", borrow)]
        signed: &'a RawValue,
        signature: Hexadecimal<64>,
    }
    let outer: Outer<'_> = parse(document)?;
    Signed::read(outer.signed, outer.signature)
}

/// Reads an enclave identity (Intel PCS API version 4, `Get Quoting Enclave Identity`).
pub(super) fn identity(document: &[u8]) -> Result<Signed<'_, IdentityDocument>, DocumentError> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(rename = "enclaveIdentity", borrow)]
        signed: &'a RawValue,
        signature: Hexadecimal<64>,
    }
    let outer: Outer<'_> = parse(document)?;
    Signed::read(outer.signed, outer.signature)
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, DocumentError> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError::TooLarge {
            actual: document.len(),
        });
    }
    serde_json::from_slice(document).map_err(|error| DocumentError::Malformed(error.to_string()))
}

/// `tcbInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TcbInfoDocument {
    /// `SGX` or `TDX`; from version 3 on.
    pub(super) id: Option<String>,
    pub(super) version: u32,
    pub(super) issue_date: Date,
    pub(super) next_update: Date,
    pub(super) fmspc: Hexadecimal<6>,
    pub(super) pce_id: Hexadecimal<2>,
    pub(super) tcb_type: u32,
    pub(super) tcb_evaluation_data_number: u32,
    pub(super) tdx_module: Option<ModuleDocument>,
    #[serde(default)]
    pub(super) tdx_module_identities: Bounded<ModuleIdentityDocument>,
    pub(super) tcb_levels: Bounded<LevelDocument<PlatformTcbDocument>>,
}

/// `tdxModule`, and the head of each of `tdxModuleIdentities`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleDocument {
    pub(super) mrsigner: Hexadecimal<48>,
    pub(super) attributes: Hexadecimal<8>,
    pub(super) attributes_mask: Hexadecimal<8>,
}

/// One of `tdxModuleIdentities`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleIdentityDocument {
    pub(super) id: String,
    mrsigner: Hexadecimal<48>,
    attributes: Hexadecimal<8>,
    attributes_mask: Hexadecimal<8>,
    pub(super) tcb_levels: Bounded<LevelDocument<EnclaveTcbDocument>>,
}

impl ModuleIdentityDocument {
    /// Its head.
    pub(super) fn module(&self) -> ModuleDocument {
        ModuleDocument {
            mrsigner: self.mrsigner,
            attributes: self.attributes,
            attributes_mask: self.attributes_mask,
        }
    }
}

/// `enclaveIdentity`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdentityDocument {
    pub(super) id: String,
    pub(super) version: u32,
    pub(super) issue_date: Date,
    pub(super) next_update: Date,
    pub(super) tcb_evaluation_data_number: u32,
    pub(super) miscselect: Hexadecimal<4>,
    pub(super) miscselect_mask: Hexadecimal<4>,
    pub(super) attributes: Hexadecimal<16>,
    pub(super) attributes_mask: Hexadecimal<16>,
    pub(super) mrsigner: Hexadecimal<32>,
    pub(super) isvprodid: u16,
    pub(super) tcb_levels: Bounded<LevelDocument<EnclaveTcbDocument>>,
}

/// One of `tcbLevels`, of whatever `T` counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LevelDocument<T> {
    pub(super) tcb: T,
    pub(super) tcb_date: Date,
    pub(super) tcb_status: Status,
    #[serde(rename = "advisoryIDs", default)]
    pub(super) advisory_ids: Bounded<String>,
}

/// The `tcb` of an enclave or a TDX module.
#[derive(Debug, Deserialize)]
pub(super) struct EnclaveTcbDocument {
    pub(super) isvsvn: u16,
}

/// The `tcb` of a platform.
#[derive(Debug)]
pub(super) struct PlatformTcbDocument {
    pub(super) sgx: [u8; 16],
    pub(super) tdx: Option<[u8; 16]>,
    pub(super) pce_svn: u16,
}

/// Version 2 has a key for each component, version 3 a list.
impl<'de> Deserialize<'de> for PlatformTcbDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PlatformTcbVisitor)
    }
}

struct PlatformTcbVisitor;

impl<'de> Visitor<'de> for PlatformTcbVisitor {
    type Value = PlatformTcbDocument;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a TCB with `pcesvn` and the SVNs of 16 components")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlatformTcbDocument, A::Error> {
        let mut pce_svn = None;
        let mut lists: [Option<[u8; 16]>; 2] = [None; 2];
        let mut numbered = [None; 16];
        // What is not known is not kept: it could be of any size.
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let twice = match &*key {
                "pcesvn" => pce_svn.replace(map.next_value()?).is_some(),
                "sgxtcbcomponents" => lists[0].replace(svns(map.next_value()?)?).is_some(),
                "tdxtcbcomponents" => lists[1].replace(svns(map.next_value()?)?).is_some(),
                other => {
                    match numbered_component(other).and_then(|index| numbered.get_mut(index)) {
                        Some(component) => component.replace(map.next_value()?).is_some(),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            false
                        }
                    }
                }
            };
            if twice {
                return Err(A::Error::custom(format!("`{key}` twice")));
            }
        }
        let [sgx, tdx] = lists;
        let sgx = match sgx {
            Some(sgx) => sgx,
            None => {
                let mut sgx = [0; 16];
                for (component, (svn, number)) in sgx.iter_mut().zip(numbered.iter().zip(1..)) {
                    let missing = || A::Error::custom(format!("no `sgxtcbcomp{number:02}svn`"));
                    *component = svn.ok_or_else(missing)?;
                }
                sgx
            }
        };
        Ok(PlatformTcbDocument {
            sgx,
            tdx,
            pce_svn: pce_svn.ok_or_else(|| A::Error::missing_field("pcesvn"))?,
        })
    }
}

/// One of the 16 components of a list.
#[derive(Deserialize)]
struct Component {
    svn: u8,
}

fn svns<E: serde::de::Error>(list: Bounded<Component>) -> Result<[u8; 16], E> {
    let length = list.0.len();
    let components: [Component; 16] = list
        .0
        .try_into()
        .map_err(|_| E::invalid_length(length, &"16 components"))?;
    Ok(components.map(|component| component.svn))
}

/// The index that `sgxtcbcomp01svn` to `sgxtcbcomp16svn` stand for.
fn numbered_component(key: &str) -> Option<usize> {
    let number = key.strip_prefix("sgxtcbcomp")?.strip_suffix("svn")?;
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// `SIZE` bytes in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hexadecimal<const SIZE: usize>(pub(super) [u8; SIZE]);

impl<'de, const SIZE: usize> Deserialize<'de> for Hexadecimal<SIZE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; SIZE];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| D::Error::custom(format!("not {SIZE} bytes in hexadecimal")))?;
        Ok(Self(bytes))
    }
}

/// A time in UTC (ISO 8601, as `2026-08-13T10:45:38Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(pub(super) UnixTime);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date: DateTime = text
            .parse()
            .map_err(|_| D::Error::custom("not a time in UTC"))?;
        Ok(Self(UnixTime(date.unix_duration().as_secs())))
    }
}

/// A status by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status(pub(super) TcbStatus);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        TcbStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("unknown TCB status"))
    }
}

/// A list of at most [`MAX_LEVELS`] entries.
#[derive(Debug)]
pub(super) struct Bounded<T>(pub(super) Vec<T>);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BoundedVisitor<T> {
    type Value = Bounded<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MAX_LEVELS} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Bounded<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == MAX_LEVELS {
                return Err(A::Error::invalid_length(list.len() + 1, &self));
            }
            list.push(entry);
        }
        Ok(Bounded(list))
    }
}

/// The period of a document's freshness, when `now` lies in it.
pub(super) fn fresh(
    issued: Date,
    next_update: Date,
    now: UnixTime,
) -> Result<Validity, DocumentError> {
    let period = Validity {
        not_before: issued.0,
        not_after: next_update.0,
    };
    if now < period.not_before {
        Err(DocumentError::NotYetIssued {
            issued: period.not_before,
            now,
        })
    } else if period.not_after < now {
        Err(DocumentError::Stale {
            next_update: period.not_after,
            now,
        })
    } else {
        Ok(period)
    }
}
