//! Entries in one file, for owners without a network.

use std::collections::BTreeMap;

use enarx_owner_evidence::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{Entry, Store, StoreError, store::is_key};

/// Entries under the keys of a [`Store`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    version: u8,
    entries: BTreeMap<String, Entry>,
}

const VERSION: u8 = 1;

/// The largest bundle in bytes.
pub const MAX_BUNDLE: usize = 32 << 20;

/// Why a bundle was refused or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not a bundle.
    #[error("this is not a bundle of collateral: {0}")]
    Malformed(#[from] enarx_wire_cbor::DecodeError),
    /// Of another version.
    #[error("the bundle is of version {0}, and only version {VERSION} can be read")]
    Version(u8),
    /// A key that no document has.
    #[error("the bundle has an entry with the impossible name {0:?}")]
    Key(String),
    /// An entry with a service's name for its version, which bundles do not carry.
    #[error("the entry {0:?} has an entity tag, which is no bundle's to say")]
    Tag(String),
    /// An entry from the future.
    #[error("the entry {0:?} claims to have been fetched in the future")]
    Future(String),
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] enarx_wire_cbor::EncodeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Bundle {
    /// Takes all that `store` has.
    ///
    /// # Errors
    ///
    /// [`BundleError::Store`] when the store cannot be read.
    pub fn export(store: &Store) -> Result<Self, BundleError> {
        let mut entries = BTreeMap::new();
        for key in store.keys()? {
            if let Some(entry) = store.read(&key)? {
                // A name that a service gave means nothing to whoever imports this: there
                // it could make a wrong document pass for the service's present one.
                entries.insert(
                    key,
                    Entry {
                        etag: None,
                        ..entry
                    },
                );
            }
        }
        Ok(Self {
            version: VERSION,
            entries,
        })
    }

    /// The file's bytes.
    ///
    /// # Errors
    ///
    /// [`BundleError::Encode`].
    pub fn to_vec(&self) -> Result<Vec<u8>, BundleError> {
        Ok(enarx_wire_cbor::to_vec(self)?)
    }

    /// Reads a file of at most 32 MiB.
    ///
    /// # Errors
    ///
    /// [`BundleError`] when it is none, of another version, or has a bad key.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self = enarx_wire_cbor::from_slice(bytes, MAX_BUNDLE)?;
        if bundle.version != VERSION {
            return Err(BundleError::Version(bundle.version));
        }
        if let Some(key) = bundle.entries.keys().find(|key| !is_key(key)) {
            return Err(BundleError::Key(key.clone()));
        }
        match bundle
            .entries
            .iter()
            .find(|(_, entry)| entry.etag.is_some())
        {
            Some((key, _)) => Err(BundleError::Tag(key.clone())),
            None => Ok(bundle),
        }
    }

    /// The entries with their names, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.as_str(), entry))
    }

    /// Puts into `store` the entries that were fetched later than what it has, and gives
    /// their number. `now` is the time: what claims to have been fetched later than that
    /// would keep honest documents out for ever.
    ///
    /// # Errors
    ///
    /// [`BundleError::Store`] when the store cannot be read or written.
    pub fn import(&self, store: &Store, now: UnixTime) -> Result<usize, BundleError> {
        if let Some((key, _)) = self
            .entries
            .iter()
            .find(|(_, entry)| entry.fetched_at > now.0)
        {
            return Err(BundleError::Future(key.clone()));
        }
        let mut taken = 0;
        for (key, entry) in &self.entries {
            let kept = store.read(key)?;
            if kept.is_none_or(|kept| kept.fetched_at < entry.fetched_at) {
                store.write(key, entry)?;
                taken += 1;
            }
        }
        Ok(taken)
    }
}
