//! Writing a package.

use std::io::{BufRead, BufReader, Read, Write};

use crate::{
    CHUNK_SIZE, ContentKey, Entry, Manifest, PackageError, StreamError,
    entry_digest::EntryDigest,
    stream::{SealStream, available},
};

/// Writes one package: the manifest first, then each entry in the manifest's order.
///
/// ```
/// # use enarx_wire_package::*;
/// # fn main() -> Result<(), PackageError> {
/// # let wasm = b"\0asm\x01\0\0\0";
/// # let manifest = Manifest {
/// #     version: Manifest::VERSION, name: "hello".into(),
/// #     workload: Workload { kind: WorkloadKind::Module, digest: digest(wasm) },
/// #     args: vec![], env: vec![], descriptors: vec![], tls: None, network: None, http: None,
/// #     preview3: false, config: vec![], limits: Limits::default(), target: None,
/// #     entries: vec![Entry { path: "hello.wasm".into(), kind: EntryKind::Wasm, size: 8, digest: None }],
/// # };
/// let key = ContentKey::new([7; 32]);
/// let mut writer = PackageWriter::new(Vec::new(), &key, [8; 32], &manifest)?;
/// writer.entry(&wasm[..])?;
/// let package: Vec<u8> = writer.finish()?;
/// # assert_eq!(package.len() as u64, sealed_size(4 + manifest.encode()?.len() as u64 + 8));
/// # Ok(())
/// # }
/// ```
pub struct PackageWriter<W> {
    stream: SealStream<W>,
    entries: Vec<Entry>,
    /// Entries that were written whole.
    written: usize,
    failed: bool,
}

impl<W: Write> PackageWriter<W> {
    /// Starts a package under `key`, with a fresh random `salt`.
    ///
    /// # Errors
    ///
    /// [`PackageError`] when the manifest does not hold together or the sink fails.
    pub fn new(
        sink: W,
        key: &ContentKey,
        salt: [u8; 32],
        manifest: &Manifest,
    ) -> Result<Self, PackageError> {
        let encoded = manifest.encode()?;
        let mut stream = SealStream::new(sink, key, salt)?;
        let length = u32::try_from(encoded.len()).expect("a manifest has at most 4 MiB");
        stream.write(&length.to_le_bytes())?;
        stream.write(&encoded)?;
        Ok(Self {
            stream,
            entries: manifest.entries.clone(),
            written: 0,
            failed: false,
        })
    }

    /// Writes the next entry, all of `source`.
    ///
    /// # Errors
    ///
    /// [`PackageError`] when `source` has another size or digest than the manifest
    /// says (a file that changed meanwhile), when there is no further entry, or when
    /// source or sink fail. The package cannot be finished after any of them.
    pub fn entry(&mut self, mut source: impl BufRead) -> Result<(), PackageError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(StreamError::Broken.into());
        }
        let Some(entry) = self.entries.get(self.written) else {
            return Err(PackageError::Entries {
                expected: self.written,
                actual: self.written + 1,
            });
        };
        let mut check = EntryDigest::new(entry);
        let mut left = entry.size;
        let failed = |source| PackageError::Entry {
            path: entry.path.clone(),
            source,
        };
        while left > 0 {
            let available = available(&mut source).map_err(failed)?;
            let count =
                usize::try_from(left).map_or(available.len(), |left| left.min(available.len()));
            if count == 0 {
                break;
            }
            check.update(&available[..count]);
            self.stream.write(&available[..count])?;
            source.consume(count);
            left -= count as u64;
        }
        let surplus = usize::from(!available(&mut source).map_err(failed)?.is_empty());
        if left > 0 || surplus > 0 {
            return Err(PackageError::Size {
                path: entry.path.clone(),
                expected: entry.size,
                actual: (entry.size - left).saturating_add(surplus as u64),
            });
        }
        check.finish(entry)?;
        self.written += 1;
        self.failed = false;
        Ok(())
    }

    /// Ends the package, and gives back the sink, flushed.
    ///
    /// # Errors
    ///
    /// [`PackageError::Entries`] when entries are missing, [`StreamError::Broken`]
    /// after an earlier error, or the sink's own.
    pub fn finish(self) -> Result<W, PackageError> {
        if self.failed {
            return Err(StreamError::Broken.into());
        }
        if self.written < self.entries.len() {
            return Err(PackageError::Entries {
                expected: self.entries.len(),
                actual: self.written,
            });
        }
        Ok(self.stream.finish()?)
    }
}

/// Has `source`, of `size` bytes, be read ahead for [`PackageWriter::entry`], so far that most chunks
/// are encrypted from where they lie.
pub fn read_ahead<R: Read>(source: R, size: u64) -> BufReader<R> {
    const CHUNKS: usize = 8;
    let most = CHUNKS * CHUNK_SIZE;
    // Never none, so that it is noticed if there is more.
    let ahead = usize::try_from(size).map_or(most, |size| size.clamp(1, most));
    BufReader::with_capacity(ahead, source)
}
