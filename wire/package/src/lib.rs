//! The application manifest and the encrypted package stream.
//!
//! A package is one application: a [`Manifest`] that says what it is, and the
//! bytes of its entries in the manifest's order, in one authenticated stream of
//! encrypted chunks. At rest it carries the `.wasm`; sealed for one Keep it carries
//! the artifact compiled for that Keep. Both are the same format, described in
//! `docs/protocol.md`.
//!
//! Both directions work in bounded memory whatever the size of the package.

mod entry_digest;
mod key;
mod manifest;
mod network;
mod reader;
mod stream;
mod writer;

pub use key::ContentKey;
pub use manifest::{
    Descriptor, DescriptorKind, Entry, EntryKind, Limits, Manifest, ManifestError, Workload,
    WorkloadKind,
};
pub use network::{
    Endpoint, HttpServer, MAX_HOST_NAME_BYTES, NetworkRule, NetworkRules, Protocol, TlsSettings,
    Transport, is_host_name,
};
pub use reader::PackageReader;
pub use stream::{
    CHUNK_SIZE, HEADER_SIZE, Header, OpenStream, SealStream, StreamError, TAG_SIZE, sealed_size,
};
pub use writer::{PackageWriter, read_ahead};

/// A SHA-384 digest.
pub type Digest = [u8; 48];

/// Why a package could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The encrypted stream is not a package, was altered, or was cut; or the
    /// source or sink failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The manifest is not one, or contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest is not the one that was granted.
    #[error("the package holds another manifest than the one granted to this Keep")]
    OtherManifest,
    /// A source gave fewer or more bytes than the manifest says.
    #[error("{path}: {actual} bytes where the manifest says {expected}")]
    Size {
        /// The entry.
        path: String,
        /// Bytes that the manifest announces.
        expected: u64,
        /// Bytes seen; one more than `expected` stands for "more".
        actual: u64,
    },
    /// An entry's bytes do not have the digest that the manifest says.
    #[error("{path}: its SHA-384 is not the one in the manifest")]
    Digest {
        /// The entry.
        path: String,
    },
    /// Entries were left out, or asked for after the last one.
    #[error("the package has {expected} entries, {actual} were handled")]
    Entries {
        /// Entries in the manifest.
        expected: usize,
        /// Entries written or read.
        actual: usize,
    },
    /// Bytes follow the last entry.
    #[error("bytes follow the package's last entry")]
    Trailing,
    /// Where an entry is copied to or from failed.
    #[error("{path}: {source}")]
    Entry {
        /// The entry.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// SHA-384 of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    let mut digest = [0; 48];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, bytes).as_ref());
    digest
}
