//! Reading of manifests.

use ciborium::Value;
use enarx_owner_evidence::UnixTime;

use super::{
    CONCISE_MODULE, Digest, DigestAlgorithm, Environment, Error, Flags, Identifier, MAX_BYTES,
    MAX_TAGS, MAX_VALUES, Manifest, MeasurementKey, Profile, RawValue, ReferenceValue,
    SecurityVersion, Validity,
};
use crate::cbor::{self, get};

type Map = [(Value, Value)];

/// Why a measurement was not read.
enum Unread {
    /// It has a condition that is not understood.
    Unknown,
    /// It is wrong, and the manifest with it.
    Wrong(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// Reads the `corim-map`.
pub(super) fn manifest(value: &Value) -> Result<Manifest, Error> {
    let entries = map(value, "manifest")?;
    let tags = list(get(entries, 1).ok_or(Error::Missing("tags"))?, "tags")?;
    if tags.len() > MAX_TAGS {
        return Err(Error::TooMany);
    }
    let mut manifest = Manifest {
        id: id(get(entries, 0).ok_or(Error::Missing("an identity"))?)?,
        profile: get(entries, 3).map(profile).transpose()?,
        validity: get(entries, 4).map_or(Ok(Validity::default()), validity)?,
        values: Vec::new(),
        skipped: 0,
    };
    for tag in tags {
        match tag {
            Value::Tag(CONCISE_MODULE, inner) => {
                let bytes = inner.as_bytes().ok_or(Error::Type("CoMID tag"))?;
                module(&cbor::read(bytes, MAX_BYTES)?, &mut manifest)?;
            }
            // Software identities, trust lists and what is yet to come.
            Value::Tag(..) => {}
            _ => return Err(Error::Type("tag")),
        }
    }
    Ok(manifest)
}

/// Reads the validity of a signature from `corim-meta-map`.
pub(super) fn meta(value: &Value) -> Result<Validity, Error> {
    let entries = value.as_map().ok_or(Error::Header("signer"))?;
    let signer = get(entries, 0).and_then(Value::as_map);
    let name = signer.and_then(|signer| get(signer, 0));
    if name.and_then(Value::as_text).is_none() {
        return Err(Error::Header("signer"));
    }
    get(entries, 1).map_or(Ok(Validity::default()), validity)
}

/// Reads the validity of a signature from CWT claims (RFC 8392 section 3.1).
pub(super) fn claims(value: &Value) -> Result<Validity, Error> {
    let entries = value.as_map().ok_or(Error::Header("signer"))?;
    if get(entries, 1).and_then(Value::as_text).is_none() {
        return Err(Error::Header("signer"));
    }
    let number = |value| cbor::unsigned(value).ok_or(Error::Header("validity"));
    let time = |key| get(entries, key).map(number).transpose();
    // At the time of expiry a token has already expired.
    let last = time(4)?.map(|expiry| expiry.checked_sub(1).ok_or(Error::Header("validity")));
    Ok(Validity {
        not_before: time(5)?.map(UnixTime),
        not_after: last.transpose()?.map(UnixTime),
    })
}

/// Reads a `concise-mid-tag`.
fn module(value: &Value, manifest: &mut Manifest) -> Result<(), Error> {
    let entries = map(value, "CoMID")?;
    let identity = get(entries, 1).ok_or(Error::Missing("a CoMID's identity"))?;
    let identity = get(map(identity, "CoMID's identity")?, 0);
    id(identity.ok_or(Error::Missing("a CoMID's identity"))?)?;
    let triples = get(entries, 4).ok_or(Error::Missing("a CoMID's triples"))?;
    let Some(triples) = get(map(triples, "triples")?, 0) else {
        return Ok(());
    };
    for triple in list(triples, "reference triples")? {
        let [environment, measurements] = array(triple, "reference triple")?;
        let environment = read_or_skip(self::environment(environment))?;
        for measurement in list(measurements, "measurements")? {
            if manifest.values.len() + manifest.skipped >= MAX_VALUES {
                return Err(Error::TooMany);
            }
            // Read even where the environment is not understood, so that it is checked.
            let value = read_or_skip(self::measurement(measurement))?;
            match (&environment, value) {
                (Some(environment), Some(value)) => manifest.values.push(ReferenceValue {
                    environment: environment.clone(),
                    ..value
                }),
                _ => manifest.skipped += 1,
            }
        }
    }
    Ok(())
}

fn read_or_skip<T>(read: Result<T, Unread>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Unread::Unknown) => Ok(None),
        Err(Unread::Wrong(error)) => Err(error),
    }
}

fn environment(value: &Value) -> Result<Environment, Unread> {
    let entries = known(value, "environment", &[0, 1, 2])?;
    let class = match get(entries, 0) {
        Some(class) => known(class, "class", &[0, 1, 2, 3, 4])?,
        None => &[],
    };
    let name = |key| {
        get(class, key)
            .map(|value| text(value, "class"))
            .transpose()
    };
    let number = |key| {
        get(class, key)
            .map(|value| unsigned(value, "class"))
            .transpose()
    };
    let named = |map, key| get(map, key).map(identifier).transpose();
    Ok(Environment {
        class_id: named(class, 0)?,
        vendor: name(1)?,
        model: name(2)?,
        layer: number(3)?,
        index: number(4)?,
        instance: named(entries, 1)?,
        group: named(entries, 2)?,
    })
}

fn measurement(value: &Value) -> Result<ReferenceValue, Unread> {
    let entries = map(value, "measurement")?;
    let values = get(entries, 1).ok_or(Error::Missing("a measurement's values"))?;
    // Key 2, authorized-by, is a condition that nothing here can check.
    known(value, "measurement", &[0, 1])?;
    let key = get(entries, 0).map(measurement_key).transpose()?;
    let values = known(values, "measurement's values", &[0, 1, 2, 3, 4, 5, 11])?;
    let version = get(values, 0).map(version).transpose()?;
    let security_version = get(values, 1).map(security_version).transpose()?;
    let digests = get(values, 2).map(digests).transpose()?;
    let flags = get(values, 3).map(flags).transpose()?;
    let name = get(values, 11)
        .map(|value| text(value, "name"))
        .transpose()?;
    Ok(ReferenceValue {
        environment: Environment::default(),
        key,
        name,
        version,
        security_version,
        digests: digests.unwrap_or_default(),
        flags: flags.unwrap_or_default(),
        raw_value: raw_value(get(values, 4), get(values, 5))?,
    })
}

fn measurement_key(value: &Value) -> Result<MeasurementKey, Unread> {
    match value {
        Value::Text(text) => Ok(MeasurementKey::Text(text.clone())),
        Value::Integer(_) => Ok(MeasurementKey::Number(unsigned(value, "measurement key")?)),
        value => match identifier(value)? {
            Identifier::Oid(oid) => Ok(MeasurementKey::Oid(oid)),
            Identifier::Uuid(uuid) => Ok(MeasurementKey::Uuid(uuid)),
            _ => Err(Unread::Unknown),
        },
    }
}

fn identifier(value: &Value) -> Result<Identifier, Unread> {
    let wrong = Error::Type("identifier");
    let (tag, inner) = value.as_tag().ok_or(wrong.clone())?;
    let bytes = || inner.as_bytes().cloned().ok_or(wrong.clone());
    match tag {
        37 => Ok(Identifier::Uuid(
            bytes()?.try_into().map_err(|_| wrong.clone())?,
        )),
        111 => Ok(Identifier::Oid(bytes()?)),
        550 => {
            let ueid = bytes()?;
            let length = 7..=33;
            let ueid = length.contains(&ueid.len()).then_some(ueid);
            Ok(Identifier::Ueid(ueid.ok_or(wrong)?))
        }
        560 => Ok(Identifier::Bytes(bytes()?)),
        _ => Err(Unread::Unknown),
    }
}

fn version(value: &Value) -> Result<String, Error> {
    let version = get(map(value, "version")?, 0);
    text(version.ok_or(Error::Missing("a version"))?, "version")
}

fn security_version(value: &Value) -> Result<SecurityVersion, Unread> {
    match value {
        Value::Tag(552, inner) => Ok(SecurityVersion::Exact(unsigned(inner, "svn")?)),
        Value::Tag(553, inner) => Ok(SecurityVersion::Minimum(unsigned(inner, "svn")?)),
        Value::Tag(..) => Err(Unread::Unknown),
        value => Ok(SecurityVersion::Exact(unsigned(value, "svn")?)),
    }
}

/// Digests by algorithms that are known. Others are ignored beside them: any one digest
/// tells two images apart.
fn digests(value: &Value) -> Result<Vec<Digest>, Unread> {
    let mut digests = Vec::new();
    for entry in list(value, "digests")? {
        let [algorithm, bytes] = array(entry, "digest")?;
        let bytes = bytes.as_bytes().ok_or(Error::Type("digest"))?;
        if !matches!(algorithm, Value::Integer(_) | Value::Text(_)) {
            return Err(Error::Type("digest algorithm").into());
        }
        let known = DigestAlgorithm::ALL.into_iter().find(|known| {
            let number = cbor::unsigned(algorithm);
            number == Some(known.number()) || algorithm.as_text() == Some(known.name())
        });
        let Some(algorithm) = known else { continue };
        if bytes.len() != algorithm.length() {
            let length = bytes.len();
            let algorithm = algorithm.name();
            return Err(Error::DigestLength { algorithm, length }.into());
        }
        let bytes = bytes.clone();
        digests.push(Digest { algorithm, bytes });
    }
    if digests.is_empty() {
        return Err(Unread::Unknown);
    }
    Ok(digests)
}

fn flags(value: &Value) -> Result<Flags, Unread> {
    let entries = known(value, "flags", &[0, 1, 2, 3, 4, 5])?;
    let mut flags = [None; 6];
    for (key, flag) in (0..).zip(&mut flags) {
        let set = get(entries, key).map(|value| value.as_bool().ok_or(Error::Type("flags")));
        *flag = set.transpose()?;
    }
    Ok(Flags::from_numbered(flags))
}

fn raw_value(value: Option<&Value>, mask: Option<&Value>) -> Result<Option<RawValue>, Unread> {
    let bytes = |value: &Value| value.as_bytes().cloned().ok_or(Error::Type("raw value"));
    let raw = match (value, mask) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(Error::Missing("the raw value of a mask").into()),
        (Some(Value::Tag(560, inner)), mask) => RawValue {
            bytes: bytes(inner)?,
            mask: mask.map(bytes).transpose()?,
        },
        (Some(Value::Tag(563, inner)), None) => {
            let [value, mask] = array(inner, "raw value")?;
            RawValue {
                bytes: bytes(value)?,
                mask: Some(bytes(mask)?),
            }
        }
        (Some(Value::Tag(..)), _) => return Err(Unread::Unknown),
        _ => return Err(Error::Type("raw value").into()),
    };
    let length = raw.bytes.len();
    if raw.mask.as_ref().is_some_and(|mask| mask.len() != length) {
        return Err(Error::Type("mask").into());
    }
    Ok(Some(raw))
}

fn id(value: &Value) -> Result<String, Error> {
    let uuid = match value {
        Value::Text(text) => return Ok(text.clone()),
        Value::Tag(37, inner) => inner.as_bytes(),
        value => value.as_bytes(),
    };
    let uuid = uuid.filter(|uuid| uuid.len() == 16);
    uuid.map(hex::encode).ok_or(Error::Type("identity"))
}

/// A URI or an OID; early drafts had a list of them, of which one is accepted.
fn profile(value: &Value) -> Result<Profile, Error> {
    let wrong = Error::Type("profile");
    match value {
        Value::Tag(32, inner) => Ok(Profile::Uri(text(inner, "profile")?)),
        Value::Text(uri) => Ok(Profile::Uri(uri.clone())),
        Value::Tag(111, inner) => {
            let oid = inner.as_bytes().cloned();
            oid.map(Profile::Oid).ok_or(wrong)
        }
        Value::Array(profiles) => match profiles.as_slice() {
            [one] if !one.is_array() => profile(one),
            _ => Err(wrong),
        },
        _ => Err(wrong),
    }
}

fn validity(value: &Value) -> Result<Validity, Error> {
    let entries = map(value, "validity")?;
    let end = get(entries, 1).ok_or(Error::Missing("the end of its validity"))?;
    Ok(Validity {
        not_before: get(entries, 0).map(time).transpose()?,
        not_after: Some(time(end)?),
    })
}

/// A time in whole seconds (RFC 8949 section 3.4.2), with or without its tag.
fn time(value: &Value) -> Result<UnixTime, Error> {
    let value = match value {
        Value::Tag(1, inner) => inner,
        value => value,
    };
    unsigned(value, "time").map(UnixTime)
}

/// A map that is not empty and has only `keys`.
fn known<'a>(value: &'a Value, what: &'static str, keys: &[i64]) -> Result<&'a Map, Unread> {
    let entries = map(value, what)?;
    let known = |key: &Value| keys.iter().any(|known| *key == Value::from(*known));
    if entries.iter().all(|(key, _)| known(key)) {
        Ok(entries)
    } else {
        Err(Unread::Unknown)
    }
}

/// A map that is not empty.
fn map<'a>(value: &'a Value, what: &'static str) -> Result<&'a Map, Error> {
    let entries = value.as_map().filter(|entries| !entries.is_empty());
    entries.map(Vec::as_slice).ok_or(Error::Type(what))
}

/// A list that is not empty.
fn list<'a>(value: &'a Value, what: &'static str) -> Result<&'a [Value], Error> {
    let items = value.as_array().filter(|items| !items.is_empty());
    items.map(Vec::as_slice).ok_or(Error::Type(what))
}

fn array<'a, const N: usize>(
    value: &'a Value,
    what: &'static str,
) -> Result<&'a [Value; N], Error> {
    let items = value.as_array().map(Vec::as_slice);
    let items = items.and_then(|items| items.try_into().ok());
    items.ok_or(Error::Type(what))
}

fn text(value: &Value, what: &'static str) -> Result<String, Error> {
    let text = value.as_text().map(str::to_owned);
    text.ok_or(Error::Type(what))
}

fn unsigned(value: &Value, what: &'static str) -> Result<u64, Error> {
    cbor::unsigned(value).ok_or(Error::Type(what))
}
