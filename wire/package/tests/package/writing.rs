//! Writing and reading whole packages: sizes, digests, order, and failing files.

use std::io::{self, Read, Write};

use enarx_wire_package::*;

use crate::sample::*;

#[test]
fn entries_come_back_in_order() {
    let program = pattern(3 * CHUNK_SIZE);
    let files: [(&str, &[u8]); 3] = [("/b/c", b"one"), ("/a", b""), ("/b/d", &program)];
    let sealed = package(SALT, &program, &files);
    let contents = read(&sealed[..], &key()).unwrap();
    assert_eq!(contents[0], program);
    for ((_, expected), actual) in files.iter().zip(&contents[1..]) {
        assert_eq!(expected, actual);
    }
    let reader = PackageReader::open(&sealed[..], &key()).unwrap();
    assert_eq!(reader.manifest(), &manifest(&program, &files));
    assert_eq!(
        reader.manifest_digest(),
        &manifest(&program, &files).digest().unwrap()
    );
}

#[test]
fn a_source_of_another_size_is_named() {
    for (given, seen) in [(&b""[..], 0), (b"abc", 3), (b"abcde", 5)] {
        let mut writer =
            PackageWriter::new(Vec::new(), &key(), SALT, &manifest(b"abcd", &[])).unwrap();
        match writer.entry(given).unwrap_err() {
            PackageError::Size {
                path,
                expected: 4,
                actual,
            } => assert_eq!((path.as_str(), actual), ("app.wasm", seen)),
            other => panic!("{other}"),
        }
        // What was begun so cannot become a package.
        let again = writer.entry(&b"abcd"[..]).unwrap_err();
        assert!(matches!(again, PackageError::Stream(StreamError::Broken)));
        let finished = writer.finish().unwrap_err();
        assert!(matches!(
            finished,
            PackageError::Stream(StreamError::Broken)
        ));
    }
}

#[test]
fn a_source_with_other_bytes_is_named() {
    let mut writer = PackageWriter::new(Vec::new(), &key(), SALT, &manifest(b"abcd", &[])).unwrap();
    let error = writer.entry(&b"abcX"[..]).unwrap_err();
    assert!(matches!(error, PackageError::Digest { path } if path == "app.wasm"));
    assert!(writer.finish().is_err());
}

#[test]
fn missing_and_surplus_entries_are_counted() {
    let two = manifest(b"abcd", &[("/a", b"x")]);
    let mut writer = PackageWriter::new(Vec::new(), &key(), SALT, &two).unwrap();
    writer.entry(&b"abcd"[..]).unwrap();
    assert!(matches!(
        writer.finish(),
        Err(PackageError::Entries {
            expected: 2,
            actual: 1
        })
    ));
    let mut writer = PackageWriter::new(Vec::new(), &key(), SALT, &manifest(b"abcd", &[])).unwrap();
    writer.entry(&b"abcd"[..]).unwrap();
    assert!(matches!(
        writer.entry(&b""[..]),
        Err(PackageError::Entries {
            expected: 1,
            actual: 2
        })
    ));

    let sealed = package(SALT, b"abcd", &[("/a", b"x")]);
    let mut reader = PackageReader::open(&sealed[..], &key()).unwrap();
    reader.copy_entry(&mut io::sink()).unwrap();
    assert!(matches!(
        reader.finish(),
        Err(PackageError::Entries {
            expected: 2,
            actual: 1
        })
    ));
    let mut reader = PackageReader::open(&sealed[..], &key()).unwrap();
    reader.copy_entry(&mut io::sink()).unwrap();
    reader.copy_entry(&mut io::sink()).unwrap();
    assert!(matches!(
        reader.copy_entry(&mut io::sink()),
        Err(PackageError::Entries {
            expected: 2,
            actual: 3
        })
    ));
}

/// A stream with this manifest, and bytes behind it that do not follow it.
fn contradicting(manifest: &[u8], contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(manifest.len()).unwrap().to_le_bytes();
    seal(&[&length, manifest, contents].concat(), SALT)
}

#[test]
fn an_owner_who_contradicts_herself_is_caught() {
    let good = manifest(b"abcd", &[]).encode().unwrap();
    assert_eq!(
        read(&contradicting(&good, b"abcd")[..], &key()).unwrap(),
        [b"abcd"]
    );

    let digest = read(&contradicting(&good, b"abcX")[..], &key()).unwrap_err();
    assert!(matches!(digest, PackageError::Digest { path } if path == "app.wasm"));
    let short = read(&contradicting(&good, b"abc")[..], &key()).unwrap_err();
    assert!(matches!(
        short,
        PackageError::Size {
            expected: 4,
            actual: 3,
            ..
        }
    ));
    let long = read(&contradicting(&good, b"abcde")[..], &key()).unwrap_err();
    assert!(matches!(long, PackageError::Trailing));
    let chunk_more = read(&contradicting(&good, &[b'a'; 2 * CHUNK_SIZE])[..], &key());
    assert!(chunk_more.is_err());
    let malformed = read(&contradicting(b"\xa0", b"")[..], &key()).unwrap_err();
    assert!(matches!(
        malformed,
        PackageError::Manifest(ManifestError::Malformed(_))
    ));
}

#[test]
fn an_entry_that_failed_is_never_good_later() {
    let good = manifest(b"abcd", &[("/a", b"x")]).encode().unwrap();
    let sealed = contradicting(&good, b"abcXx");
    let mut reader = PackageReader::open(&sealed[..], &key()).unwrap();
    assert!(reader.copy_entry(&mut io::sink()).is_err());
    assert!(matches!(
        reader.copy_entry(&mut io::sink()),
        Err(PackageError::Stream(StreamError::Broken))
    ));
    assert!(matches!(
        reader.finish(),
        Err(PackageError::Stream(StreamError::Broken))
    ));
}

#[test]
fn the_manifest_itself_is_bounded_and_whole() {
    let huge = u32::try_from(Manifest::MAX_SIZE + 1).unwrap().to_le_bytes();
    for (text, truncated) in [
        (&huge[..], false),
        (&[0xff; 4], false),
        (&[], true),
        (&[1, 0], true),
        (&[10, 0, 0, 0, 1, 2], true),
    ] {
        let error = read(&seal(text, SALT)[..], &key()).unwrap_err();
        if truncated {
            assert!(matches!(
                error,
                PackageError::Stream(StreamError::Truncated)
            ));
        } else {
            assert!(matches!(
                error,
                PackageError::Manifest(ManifestError::TooLong(_))
            ));
        }
    }
}

/// A file or a disk that fails after some bytes.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.0);
        self.0 -= count;
        match count {
            0 => Err(io::Error::other("bad sector")),
            count => Ok(count),
        }
    }
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        match count {
            0 => Err(io::ErrorKind::StorageFull.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_file_is_named() {
    let zeros = vec![0; 3 * CHUNK_SIZE];
    for good in [0, 1, CHUNK_SIZE, 3 * CHUNK_SIZE] {
        let mut writer =
            PackageWriter::new(Vec::new(), &key(), SALT, &manifest(&zeros, &[])).unwrap();
        let error = writer
            .entry(read_ahead(Failing(good), 3 * CHUNK_SIZE as u64))
            .unwrap_err();
        assert!(matches!(&error, PackageError::Entry { path, .. } if path == "app.wasm"));
        assert_eq!(error.to_string(), "app.wasm: bad sector");
        assert!(writer.finish().is_err());
    }
}

#[test]
fn a_full_disk_is_reported_and_final() {
    let program = pattern(3 * CHUNK_SIZE);
    let manifest = manifest(&program, &[]);
    let whole = sealed_size(4 + manifest.encode().unwrap().len() as u64 + program.len() as u64);
    for space in [
        0,
        79,
        80,
        100,
        HEADER_SIZE + SEALED_CHUNK,
        whole as usize - 1,
    ] {
        let written =
            PackageWriter::new(Failing(space), &key(), SALT, &manifest).and_then(|mut writer| {
                writer.entry(&program[..])?;
                writer.finish()
            });
        match written.err().unwrap() {
            PackageError::Stream(StreamError::Io(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{space}");
            }
            other => panic!("{space}: {other}"),
        }
    }
    let mut stream = SealStream::new(Failing(HEADER_SIZE + 10), &key(), SALT).unwrap();
    assert!(matches!(stream.write(&program), Err(StreamError::Io(_))));
    assert!(matches!(stream.write(&program), Err(StreamError::Broken)));
    assert!(matches!(stream.finish(), Err(StreamError::Broken)));

    let sealed = package(SALT, &program, &[]);
    let mut reader = PackageReader::open(&sealed[..], &key()).unwrap();
    let error = reader.copy_entry(&mut Failing(70_000)).unwrap_err();
    assert!(matches!(error, PackageError::Entry { path, .. } if path == "app.wasm"));
}
