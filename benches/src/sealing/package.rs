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
        preview3: false,
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

/// A source of `left` bytes that lie in memory, like a file that is mapped or was read ahead: a pattern
/// over and over, which stays in the cache.
struct Generated {
    pattern: Vec<u8>,
    at: usize,
    left: u64,
}

impl Generated {
    fn new(size: u64) -> Self {
        // A period that is not a chunk's makes all chunks different.
        const PERIOD: usize = 8 * CHUNK_SIZE - 3;
        Self {
            pattern: (0..PERIOD)
                .map(|index| (index * 31 + (index >> 8)) as u8)
                .collect(),
            at: 0,
            left: size,
        }
    }
}

impl BufRead for Generated {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let rest = &self.pattern[self.at..];
        Ok(&rest[..rest.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count) % self.pattern.len();
        self.left -= count as u64;
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
