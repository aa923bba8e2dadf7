//! A package with one large file, generated as it is read.

use std::io::{BufRead, Read, Write};

use aws_lc_rs::digest::{Context, SHA384};
use enarx_wire_package::{
    CHUNK_SIZE, ContentKey, Digest, Entry, EntryKind, Limits, Manifest, PackageReader,
    PackageWriter, Workload, WorkloadKind, digest,
};

/// The manifest of a package whose file has `size` bytes.
pub fn manifest(size: u64, digests: bool) -> Manifest {
    Manifest {
        version: Manifest::VERSION,
        name: "benchmark".into(),
        workload: Workload {
            kind: WorkloadKind::Module,
            digest: digest(PROGRAM),
        },
        args: vec!["benchmark".into()],
        env: Vec::new(),
        descriptors: Vec::new(),
        tls: None,
        network: None,
        http: None,
        config: Vec::new(),
        limits: Limits::default(),
        target: None,
        entries: vec![
            Entry {
                path: "benchmark.wasm".into(),
                kind: EntryKind::Wasm,
                size: PROGRAM.len() as u64,
                digest: digests.then(|| digest(PROGRAM)),
            },
            Entry {
                path: "/data".into(),
                kind: EntryKind::File,
                size,
                digest: digests.then(|| file_digest(size)),
            },
        ],
    }
}

/// Bytes of the sealed package.
///
/// # Errors
///
/// When the manifest does not hold together.
pub fn sealed_size(manifest: &Manifest) -> anyhow::Result<u64> {
    let plain = 4 + manifest.encode()?.len() as u64 + manifest.content_size();
    Ok(enarx_wire_package::sealed_size(plain))
}

/// Writes the whole package.
///
/// # Errors
///
/// What the writer says.
pub fn seal(manifest: &Manifest, sink: impl Write) -> anyhow::Result<()> {
    let mut writer = PackageWriter::new(sink, &ContentKey::new(KEY), [9; 32], manifest)?;
    writer.entry(PROGRAM)?;
    writer.entry(Generated::new(manifest.entries[1].size))?;
    writer.finish()?;
    Ok(())
}

/// Reads the whole package and checks all of it.
///
/// # Errors
///
/// What the reader says.
pub fn open(source: impl BufRead) -> anyhow::Result<()> {
    let mut reader = PackageReader::open(source, &ContentKey::new(KEY))?;
    while reader.next_entry().is_some() {
        reader.copy_entry(&mut std::io::sink())?;
    }
    reader.finish()?;
    Ok(())
}

/// An empty module.
const PROGRAM: &[u8] = b"\0asm\x01\0\0\0";

/// The benchmark's key; nothing is protected with it.
const KEY: [u8; 32] = [7; 32];

fn file_digest(size: u64) -> Digest {
    let mut context = Context::new(&SHA384);
    let mut source = Generated::new(size);
    let mut buffer = vec![0; CHUNK_SIZE];
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        context.update(&buffer[..count]);
    }
    let mut digest = [0; 48];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// A source of `left` bytes, copied from a pattern that stays in the cache: what any
/// source does at least.
struct Generated {
    pattern: Vec<u8>,
    at: usize,
    left: u64,
}

impl Generated {
    fn new(size: u64) -> Self {
        // A period that is not a chunk's makes all chunks different.
        const PERIOD: usize = 16381;
        Self {
            pattern: (0..PERIOD)
                .map(|index| (index * 31 + (index >> 8)) as u8)
                .collect(),
            at: 0,
            left: size,
        }
    }
}

impl Read for Generated {
    fn read(&mut self, mut buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut given = 0;
        while self.left > 0 && !buffer.is_empty() {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let rest = &self.pattern[self.at..];
            let count = buffer.len().min(left).min(rest.len());
            let (now, later) = buffer.split_at_mut(count);
            now.copy_from_slice(&rest[..count]);
            buffer = later;
            self.at = (self.at + count) % self.pattern.len();
            self.left -= count as u64;
            given += count;
        }
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_has_the_expected_size() {
        for digests in [false, true] {
            let manifest = manifest(3 * CHUNK_SIZE as u64 + 5, digests);
            let mut sealed = Vec::new();
            seal(&manifest, &mut sealed).unwrap();
            assert_eq!(sealed.len() as u64, sealed_size(&manifest).unwrap());
            open(sealed.as_slice()).unwrap();
            sealed[1000] ^= 1;
            assert!(open(sealed.as_slice()).is_err());
        }
    }
}
