//! Checking an entry's digest while its bytes pass.

use aws_lc_rs::digest::{Context, SHA384};

use crate::{Entry, PackageError};

/// The running SHA-384 of an entry whose manifest announces one.
pub(crate) struct EntryDigest(Option<Context>);

impl EntryDigest {
    pub(crate) fn new(entry: &Entry) -> Self {
        Self(entry.digest.map(|_| Context::new(&SHA384)))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(context) = &mut self.0 {
            context.update(bytes);
        }
    }

    /// Compares with what the manifest announces.
    pub(crate) fn finish(self, entry: &Entry) -> Result<(), PackageError> {
        let actual = self.0.map(Context::finish);
        if actual.as_ref().map(AsRef::as_ref) == entry.digest.as_ref().map(<[u8; 48]>::as_slice) {
            Ok(())
        } else {
            Err(PackageError::Digest {
                path: entry.path.clone(),
            })
        }
    }
}
