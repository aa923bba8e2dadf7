//! Reading a package.

use std::io::{BufRead, Write};

use crate::{
    ContentKey, Digest, Entry, Manifest, ManifestError, PackageError, StreamError, digest,
    entry_digest::EntryDigest, stream::OpenStream,
};

/// Reads one package: the manifest first, then each entry in the manifest's order.
pub struct PackageReader<R> {
    stream: OpenStream<R>,
    manifest: Manifest,
    digest: Digest,
    /// Entries that were read whole and are good.
    next: usize,
    failed: bool,
}

impl<R: BufRead> PackageReader<R> {
    /// Opens the package that `source` gives, and reads its manifest.
    ///
    /// # Errors
    ///
    /// [`PackageError`] when it is not a package, was sealed with another key, was
    /// altered or cut, or has a manifest that does not hold together.
    pub fn open(source: R, key: &ContentKey) -> Result<Self, PackageError> {
        let mut stream = OpenStream::new(source, key)?;
        let mut length = [0; 4];
        read_exact(&mut stream, &mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > Manifest::MAX_SIZE {
            return Err(ManifestError::TooLong(length as u64).into());
        }
        let mut encoded = vec![0; length];
        read_exact(&mut stream, &mut encoded)?;
        Ok(Self {
            manifest: Manifest::decode(&encoded)?,
            digest: digest(&encoded),
            stream,
            next: 0,
            failed: false,
        })
    }

    /// The package's manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-384 of the encoded manifest.
    pub const fn manifest_digest(&self) -> &Digest {
        &self.digest
    }

    /// The entry that [`PackageReader::copy_entry`] reads next.
    pub fn next_entry(&self) -> Option<&Entry> {
        self.manifest.entries.get(self.next)
    }

    /// Copies the next entry into `sink`. The entry is good only once this has
    /// returned without an error: its digest is known at its end.
    ///
    /// # Errors
    ///
    /// [`PackageError`] when the stream was altered or cut, the digest is wrong, no
    /// entry is left, or `sink` fails. Nothing more can be read after any of them.
    pub fn copy_entry(&mut self, sink: &mut impl Write) -> Result<(), PackageError> {
        let (entry, mut check) = self.begin_entry()?;
        let mut left = entry.size;
        while left > 0 {
            let available = self.stream.fill()?;
            if available.is_empty() {
                return Err(cut_short(&entry, left));
            }
            let count = available
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = &available[..count];
            check.update(bytes);
            sink.write_all(bytes)
                .map_err(|source| PackageError::Entry {
                    path: entry.path.clone(),
                    source,
                })?;
            self.stream.consume(count);
            left -= count as u64;
        }
        self.end_entry(&entry, check)
    }

    /// [`PackageReader::copy_entry`] into `place`, which has the entry's size: a large entry is
    /// opened where it shall be.
    ///
    /// # Errors
    ///
    /// As [`PackageReader::copy_entry`], and [`PackageError::Size`] when `place` has another size
    /// than the entry.
    pub fn fill_entry(&mut self, place: &mut [u8]) -> Result<(), PackageError> {
        let (entry, mut check) = self.begin_entry()?;
        if place.len() as u64 != entry.size {
            return Err(PackageError::Size {
                path: entry.path,
                expected: entry.size,
                actual: place.len() as u64,
            });
        }
        let mut left = place;
        while !left.is_empty() {
            let count = self.stream.read(left)?;
            if count == 0 {
                return Err(cut_short(&entry, left.len() as u64));
            }
            let (filled, rest) = left.split_at_mut(count);
            check.update(filled);
            left = rest;
        }
        self.end_entry(&entry, check)
    }

    /// The next entry, and its digest before its first byte. Nothing more can be read before
    /// [`PackageReader::end_entry`].
    fn begin_entry(&mut self) -> Result<(Entry, EntryDigest), PackageError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(StreamError::Broken.into());
        }
        let Some(entry) = self.manifest.entries.get(self.next) else {
            return Err(PackageError::Entries {
                expected: self.next,
                actual: self.next + 1,
            });
        };
        Ok((entry.clone(), EntryDigest::new(entry)))
    }

    fn end_entry(&mut self, entry: &Entry, check: EntryDigest) -> Result<(), PackageError> {
        check.finish(entry)?;
        self.next += 1;
        self.failed = false;
        Ok(())
    }

    /// Checks that all entries were read and that the stream ends here.
    ///
    /// # Errors
    ///
    /// [`PackageError::Entries`], [`PackageError::Trailing`], [`StreamError::Broken`]
    /// after an earlier error, or the stream's own.
    pub fn finish(mut self) -> Result<Manifest, PackageError> {
        if self.failed {
            return Err(StreamError::Broken.into());
        }
        if self.next < self.manifest.entries.len() {
            return Err(PackageError::Entries {
                expected: self.manifest.entries.len(),
                actual: self.next,
            });
        }
        if !self.stream.fill()?.is_empty() {
            return Err(PackageError::Trailing);
        }
        Ok(self.manifest)
    }
}

/// The stream ended with `left` bytes of `entry` to come.
fn cut_short(entry: &Entry, left: u64) -> PackageError {
    PackageError::Size {
        path: entry.path.clone(),
        expected: entry.size,
        actual: entry.size - left,
    }
}

fn read_exact<R: BufRead>(
    stream: &mut OpenStream<R>,
    mut buffer: &mut [u8],
) -> Result<(), StreamError> {
    while !buffer.is_empty() {
        let available = stream.fill()?;
        if available.is_empty() {
            return Err(StreamError::Truncated);
        }
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        stream.consume(count);
        buffer = &mut buffer[count..];
    }
    Ok(())
}
