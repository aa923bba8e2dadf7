//! A small package and what is done to it.

use std::io::{BufRead, BufReader, Read};

use enarx_wire_package::*;

pub const KEY: [u8; 32] = [0x17; 32];
pub const SALT: [u8; 32] = [0x2a; 32];

/// A sealed chunk in the middle of a stream.
pub const SEALED_CHUNK: usize = CHUNK_SIZE + TAG_SIZE;

pub fn key() -> ContentKey {
    ContentKey::new(KEY)
}

pub fn entry(path: &str, kind: EntryKind, contents: &[u8]) -> Entry {
    Entry {
        path: path.into(),
        kind,
        size: contents.len() as u64,
        digest: Some(digest(contents)),
    }
}

/// A manifest of a program and files, with the digest of each.
pub fn manifest(program: &[u8], files: &[(&str, &[u8])]) -> Manifest {
    let mut entries = vec![entry("app.wasm", EntryKind::Wasm, program)];
    entries.extend((files.iter()).map(|(path, bytes)| entry(path, EntryKind::File, bytes)));
    Manifest {
        version: Manifest::VERSION,
        name: "sample".into(),
        workload: Workload {
            kind: WorkloadKind::Module,
            digest: digest(program),
        },
        args: vec!["sample".into(), "--verbose".into()],
        env: vec![("LANG".into(), "C".into())],
        descriptors: vec![Descriptor {
            kind: DescriptorKind::Stdin,
            name: "stdin".into(),
        }],
        tls: None,
        network: None,
        http: None,
        preview3: false,
        config: Vec::new(),
        limits: Limits {
            memory_bytes: Some(1 << 20),
            ..Limits::default()
        },
        target: None,
        entries,
    }
}

/// A package of `program` and `files`.
pub fn package(salt: [u8; 32], program: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = manifest(program, files);
    let mut writer = PackageWriter::new(Vec::new(), &key(), salt, &manifest).unwrap();
    writer.entry(program).unwrap();
    for (_, contents) in files {
        writer.entry(*contents).unwrap();
    }
    writer.finish().unwrap()
}

/// Reads a whole package; gives its entries' bytes.
pub fn read(source: impl Read, key: &ContentKey) -> Result<Vec<Vec<u8>>, PackageError> {
    let mut reader = PackageReader::open(BufReader::new(source), key)?;
    let mut contents = Vec::new();
    while reader.next_entry().is_some() {
        let mut bytes = Vec::new();
        reader.copy_entry(&mut bytes)?;
        contents.push(bytes);
    }
    reader.finish()?;
    Ok(contents)
}

/// [`read`] into places that have the entries' sizes, from a source that has `buffer` bytes at
/// once; no place holds anything but what `whole` says or zeros, whatever comes of it.
pub fn read_in_place(
    source: impl Read,
    key: &ContentKey,
    buffer: usize,
    whole: &[Vec<u8>],
) -> Result<(), PackageError> {
    let mut reader = PackageReader::open(BufReader::with_capacity(buffer, source), key)?;
    let mut index = 0;
    while let Some(entry) = reader.next_entry() {
        let mut bytes = vec![0; entry.size as usize];
        let filled = reader.fill_entry(&mut bytes);
        let is_authentic = |(byte, whole): (&u8, &u8)| byte == whole || *byte == 0;
        assert!(bytes.iter().zip(&whole[index]).all(is_authentic));
        filled?;
        assert!(bytes == whole[index]);
        index += 1;
    }
    reader.finish()?;
    Ok(())
}

/// A bare stream of `text`.
pub fn seal(text: &[u8], salt: [u8; 32]) -> Vec<u8> {
    let mut stream = SealStream::new(Vec::new(), &key(), salt).unwrap();
    stream.write(text).unwrap();
    stream.finish().unwrap()
}

/// Opens a bare stream, where it lies and through a small buffer, which must come to
/// the same.
pub fn open(stream: &[u8]) -> Result<Vec<u8>, StreamError> {
    let opened = open_from(stream);
    let buffered = open_from(BufReader::with_capacity(1000, stream));
    assert_eq!(format!("{opened:?}"), format!("{buffered:?}"));
    opened
}

fn open_from(source: impl BufRead) -> Result<Vec<u8>, StreamError> {
    let mut stream = OpenStream::new(source, &key())?;
    let mut text = Vec::new();
    loop {
        let bytes = stream.fill()?;
        if bytes.is_empty() {
            return Ok(text);
        }
        let count = bytes.len();
        text.extend_from_slice(bytes);
        stream.consume(count);
    }
}

/// Bytes that differ from place to place.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 31 % 251) as u8).collect()
}
