//! Writing of manifests.

use ciborium::Value;
use enarx_owner_evidence::UnixTime;

use super::{
    CONCISE_MODULE, Digest, Environment, Flags, Identifier, Manifest, MeasurementKey, Profile,
    RawValue, ReferenceValue, SecurityVersion, Validity,
};
use crate::cbor::{self, tagged};

/// Entries of a map that are there.
#[derive(Default)]
struct Entries(Vec<(i64, Value)>);

impl Entries {
    fn with(mut self, key: i64, value: Option<Value>) -> Self {
        self.0.extend(value.map(|value| (key, value)));
        self
    }

    fn texts<const N: usize>(self, texts: [(i64, &Option<String>); N]) -> Self {
        let texts = texts.into_iter();
        texts.fold(self, |entries, (key, text)| {
            entries.with(key, text.clone().map(Value::Text))
        })
    }

    /// The map; nothing when it would be empty.
    fn map(self) -> Option<Value> {
        (!self.0.is_empty()).then(|| cbor::map(self.0))
    }
}

/// The `corim-map`.
pub(super) fn manifest(manifest: &Manifest) -> Value {
    let module = tagged(CONCISE_MODULE, Value::Bytes(cbor::write(module(manifest))));
    let entries = Entries::default()
        .with(0, Some(manifest.id.clone().into()))
        .with(1, Some(Value::Array(vec![module])))
        .with(3, manifest.profile.as_ref().map(profile))
        .with(4, validity(manifest.validity));
    cbor::map(entries.0)
}

/// The `concise-mid-tag`.
fn module(manifest: &Manifest) -> Value {
    let identity = cbor::map(vec![(0, manifest.id.clone().into())]);
    let triples = manifest.values.iter().map(triple).collect();
    let triples = cbor::map(vec![(0, Value::Array(triples))]);
    cbor::map(vec![(1, identity), (4, triples)])
}

fn profile(profile: &Profile) -> Value {
    match profile {
        Profile::Uri(uri) => tagged(32, uri.clone().into()),
        Profile::Oid(oid) => tagged(111, Value::Bytes(oid.clone())),
    }
}

fn validity(validity: Validity) -> Option<Value> {
    let time = |time: UnixTime| tagged(1, time.0.into());
    // The end is mandatory where there is a period at all.
    let not_after = validity.not_after.map(time)?;
    Entries::default()
        .with(0, validity.not_before.map(time))
        .with(1, Some(not_after))
        .map()
}

fn triple(value: &ReferenceValue) -> Value {
    let measurement = Entries::default()
        .with(0, value.key.as_ref().map(key))
        .with(1, Some(values(value)));
    let environment = environment(&value.environment);
    let measurements = Value::Array(vec![cbor::map(measurement.0)]);
    Value::Array(vec![environment, measurements])
}

fn environment(environment: &Environment) -> Value {
    let class = Entries::default()
        .with(0, environment.class_id.as_ref().map(identifier))
        .texts([(1, &environment.vendor), (2, &environment.model)])
        .with(3, environment.layer.map(Value::from))
        .with(4, environment.index.map(Value::from));
    let entries = Entries::default()
        .with(0, class.map())
        .with(1, environment.instance.as_ref().map(identifier))
        .with(2, environment.group.as_ref().map(identifier));
    cbor::map(entries.0)
}

fn values(value: &ReferenceValue) -> Value {
    let version = value.version.clone().map(Value::Text);
    let version = Entries::default().with(0, version).map();
    let digests = value.digests.iter().map(digest).collect::<Vec<_>>();
    let digests = (!digests.is_empty()).then_some(Value::Array(digests));
    let entries = Entries::default()
        .with(0, version)
        .with(1, value.security_version.map(security_version))
        .with(2, digests)
        .with(3, flags(value.flags))
        .with(4, value.raw_value.as_ref().map(raw_value))
        .texts([(11, &value.name)]);
    cbor::map(entries.0)
}

fn digest(digest: &Digest) -> Value {
    let algorithm = digest.algorithm.number().into();
    Value::Array(vec![algorithm, Value::Bytes(digest.bytes.clone())])
}

fn security_version(version: SecurityVersion) -> Value {
    match version {
        SecurityVersion::Exact(number) => tagged(552, number.into()),
        SecurityVersion::Minimum(number) => tagged(553, number.into()),
    }
}

fn flags(flags: Flags) -> Option<Value> {
    let flags = (0..).zip(flags.by_number());
    let entries = flags.fold(Entries::default(), |entries, (key, flag)| {
        entries.with(key, flag.map(Value::Bool))
    });
    entries.map()
}

fn raw_value(raw: &RawValue) -> Value {
    let bytes = Value::Bytes(raw.bytes.clone());
    match &raw.mask {
        None => tagged(560, bytes),
        Some(mask) => tagged(563, Value::Array(vec![bytes, Value::Bytes(mask.clone())])),
    }
}

fn identifier(identifier: &Identifier) -> Value {
    match identifier {
        Identifier::Oid(oid) => tagged(111, Value::Bytes(oid.clone())),
        Identifier::Uuid(uuid) => tagged(37, Value::Bytes(uuid.to_vec())),
        Identifier::Ueid(ueid) => tagged(550, Value::Bytes(ueid.clone())),
        Identifier::Bytes(bytes) => tagged(560, Value::Bytes(bytes.clone())),
    }
}

fn key(key: &MeasurementKey) -> Value {
    match key {
        MeasurementKey::Oid(oid) => tagged(111, Value::Bytes(oid.clone())),
        MeasurementKey::Uuid(uuid) => tagged(37, Value::Bytes(uuid.to_vec())),
        MeasurementKey::Number(number) => (*number).into(),
        MeasurementKey::Text(text) => text.clone().into(),
    }
}
