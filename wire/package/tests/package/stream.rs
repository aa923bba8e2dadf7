//! The encrypted stream when its bytes are not the ones that were sealed.

use std::io::{self, BufReader, Read};

use enarx_wire_package::*;

use crate::sample::*;

#[test]
fn every_size_around_a_chunk_survives() {
    let mut sizes = vec![0, 1, 2, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1];
    for chunks in 2..5 {
        sizes.extend([
            chunks * CHUNK_SIZE - 1,
            chunks * CHUNK_SIZE,
            chunks * CHUNK_SIZE + 1,
        ]);
    }
    for size in sizes {
        let text = pattern(size);
        let sealed = seal(&text, SALT);
        assert_eq!(sealed.len() as u64, sealed_size(size as u64), "{size}");
        assert_eq!(open(&sealed).unwrap(), text, "{size}");
    }
}

#[test]
fn how_it_is_written_does_not_matter() {
    let text = pattern(5 * CHUNK_SIZE + 77);
    let whole = seal(&text, SALT);
    for piece in [
        1000,
        CHUNK_SIZE - 1,
        CHUNK_SIZE,
        CHUNK_SIZE + 1,
        2 * CHUNK_SIZE,
        3 * CHUNK_SIZE + 9,
    ] {
        let mut stream = SealStream::new(Vec::new(), &key(), SALT).unwrap();
        for bytes in text.chunks(piece) {
            stream.write(bytes).unwrap();
        }
        assert_eq!(stream.finish().unwrap(), whole, "{piece}");
    }
}

#[test]
fn how_it_is_read_does_not_matter() {
    /// Gives a few bytes at a time, and is interrupted now and then.
    struct Trickle<'a>(&'a [u8], usize);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(5) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = buffer.len().min(self.0.len()).min(self.1 % 1009 + 1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let program = pattern(CHUNK_SIZE + 5);
    let sealed = package(SALT, &program, &[("/a", b"x")]);
    let contents = read(Trickle(&sealed, 0), &key()).unwrap();
    assert_eq!(contents, [program, b"x".to_vec()]);
}

#[test]
fn entries_are_opened_where_they_shall_be_and_nothing_else_is() {
    let program = pattern(3 * CHUNK_SIZE + 5);
    let file = pattern(CHUNK_SIZE - 1);
    let whole = [program, file, Vec::new()];
    let sealed = package(SALT, &whole[0], &[("/a", &whole[1]), ("/b", &whole[2])]);
    for buffer in [100, SEALED_CHUNK, SEALED_CHUNK + 1, 4 * SEALED_CHUNK + 7] {
        read_in_place(&sealed[..], &key(), buffer, &whole).unwrap();
        for place in (HEADER_SIZE..sealed.len()).step_by(SEALED_CHUNK / 2) {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            read_in_place(&altered[..], &key(), buffer, &whole).unwrap_err();
            read_in_place(&sealed[..place], &key(), buffer, &whole).unwrap_err();
        }
    }

    // A place of another size is not filled, and the package cannot be read any more.
    let mut reader = PackageReader::open(&sealed[..], &key()).unwrap();
    let refused = reader.fill_entry(&mut [0; CHUNK_SIZE]).unwrap_err();
    assert!(matches!(refused, PackageError::Size { .. }));
    let refused = reader.fill_entry(&mut vec![0; whole[0].len()]).unwrap_err();
    assert!(matches!(refused, PackageError::Stream(StreamError::Broken)));
}

#[test]
fn a_cut_anywhere_is_seen() {
    let sealed = seal(&pattern(2 * CHUNK_SIZE + 100), SALT);
    let mut lengths: Vec<usize> = (0..HEADER_SIZE + 40).collect();
    for end in [
        HEADER_SIZE + SEALED_CHUNK,
        HEADER_SIZE + 2 * SEALED_CHUNK,
        sealed.len(),
    ] {
        lengths.extend(end - 40..(end + 40).min(sealed.len()));
    }
    for length in lengths {
        match open(&sealed[..length]).unwrap_err() {
            StreamError::NotAPackage => assert_eq!(length, 0),
            StreamError::Truncated | StreamError::Altered { .. } => {}
            other => panic!("{length}: {other}"),
        }
    }
    // At the end of a chunk it is a cut and nothing else.
    for chunks in 1..3 {
        let cut = open(&sealed[..HEADER_SIZE + chunks * SEALED_CHUNK]).unwrap_err();
        assert!(matches!(cut, StreamError::Truncated), "{cut}");
    }
    let header = open(&sealed[..HEADER_SIZE]).unwrap_err();
    assert!(matches!(header, StreamError::Truncated), "{header}");
}

#[test]
fn no_altered_bit_is_accepted() {
    let sealed = seal(&pattern(CHUNK_SIZE + 60), SALT);
    let mut places: Vec<usize> = (0..HEADER_SIZE + 20).collect();
    places.extend((HEADER_SIZE + 20..sealed.len()).step_by(4099));
    places.extend(HEADER_SIZE + SEALED_CHUNK - 20..sealed.len());
    for place in places {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[place] ^= 1 << bit;
            let error = open(&altered).unwrap_err();
            let expected = match place {
                0..8 | 12..16 => matches!(error, StreamError::NotAPackage),
                8..12 => matches!(error, StreamError::Version(version) if version != 1),
                16..HEADER_SIZE => matches!(error, StreamError::WrongKey),
                _ if place < HEADER_SIZE + SEALED_CHUNK => {
                    matches!(error, StreamError::Altered { chunk: 0 })
                }
                _ => matches!(error, StreamError::Altered { chunk: 1 }),
            };
            assert!(expected, "byte {place} bit {bit}: {error}");
        }
    }
}

/// Header, whole chunks and last chunk of a stream.
fn cut_up(sealed: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, chunks) = sealed.split_at(HEADER_SIZE);
    (header, chunks.chunks(SEALED_CHUNK).collect())
}

fn join(header: &[u8], chunks: &[&[u8]]) -> Vec<u8> {
    [&[header], chunks].concat().concat()
}

#[test]
fn moved_repeated_and_dropped_chunks_are_refused() {
    // The last chunk is full too, so that any chunk fits any place.
    let sealed = seal(&pattern(4 * CHUNK_SIZE), SALT);
    let (header, chunks) = cut_up(&sealed);
    assert_eq!(join(header, &chunks), sealed);
    let order = |places: &[usize]| -> Vec<u8> {
        let picked: Vec<&[u8]> = places.iter().map(|place| chunks[*place]).collect();
        join(header, &picked)
    };
    for (places, bad) in [
        (&[1, 0, 2, 3][..], 0),
        (&[0, 2, 1, 3], 1),
        (&[0, 0, 1, 2, 3], 1),
        (&[0, 1, 1, 2, 3], 2),
        (&[1, 2, 3], 0),
        (&[0, 2, 3], 1),
        (&[0, 1, 3], 2),
        (&[3], 0),
        (&[0, 1, 2, 3, 3], 3),
        (&[0, 1, 2, 3, 0], 3),
    ] {
        match open(&order(places)).unwrap_err() {
            StreamError::Altered { chunk } => assert_eq!(chunk, bad, "{places:?}"),
            other => panic!("{places:?}: {other}"),
        }
    }
    let cut = open(&order(&[0, 1, 2])).unwrap_err();
    assert!(matches!(cut, StreamError::Truncated));
}

#[test]
fn trailing_bytes_are_refused() {
    for text in [0, 5, CHUNK_SIZE] {
        for extra in [1, TAG_SIZE, 100, SEALED_CHUNK, 2 * SEALED_CHUNK] {
            let mut sealed = seal(&pattern(text), SALT);
            sealed.resize(sealed.len() + extra, 0);
            let error = open(&sealed).unwrap_err();
            assert!(matches!(error, StreamError::Altered { chunk: 0 }));
        }
    }
}

#[test]
fn chunks_of_another_package_are_refused() {
    let text = pattern(3 * CHUNK_SIZE);
    let (one, two) = (seal(&text, [1; 32]), seal(&text, [2; 32]));
    let ((header, first), (_, second)) = (cut_up(&one), cut_up(&two));
    for place in 0..3 {
        let mut mixed = first.clone();
        mixed[place] = second[place];
        let error = open(&join(header, &mixed)).unwrap_err();
        assert!(matches!(error, StreamError::Altered { chunk } if chunk == place as u64));
    }
    // All of the other's chunks under this header.
    let error = open(&join(header, &second)).unwrap_err();
    assert!(matches!(error, StreamError::Altered { chunk: 0 }));
}

#[test]
fn another_key_is_named_as_such() {
    let sealed = seal(b"text", SALT);
    for place in 0..32 {
        let mut other = KEY;
        other[place] ^= 0x80;
        let error = OpenStream::new(&sealed[..], &ContentKey::new(other))
            .err()
            .unwrap();
        assert!(matches!(error, StreamError::WrongKey));
    }
}

#[test]
fn other_files_are_not_packages() {
    for other in [&b""[..], b"\0asm\x01\0\0\0", &[0; 200], b"PK\x03\x04"] {
        let error = open(other).unwrap_err();
        assert!(matches!(error, StreamError::NotAPackage), "{other:?}");
    }
    let mut later = seal(b"", SALT);
    later[8] = 2;
    assert!(matches!(open(&later), Err(StreamError::Version(2))));
}

#[test]
fn nothing_is_read_after_an_error() {
    // Who drops a chunk hopes for a reader that tries again: the chunk after it
    // fits the next position.
    let text = pattern(3 * CHUNK_SIZE);
    let sealed = seal(&text, SALT);
    let (header, chunks) = cut_up(&sealed);
    let dropped = join(header, &[chunks[1], chunks[2]]);
    let mut stream = OpenStream::new(&dropped[..], &key()).unwrap();
    assert!(matches!(
        stream.fill(),
        Err(StreamError::Altered { chunk: 0 })
    ));
    for _ in 0..4 {
        assert!(matches!(stream.fill(), Err(StreamError::Broken)));
    }
}

#[test]
fn only_an_empty_stream_has_an_empty_chunk() {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    // A stream of one whole chunk, then an empty last one: the key's owner could
    // make it, and it would be a second encoding of the same text.
    let sealed = seal(&pattern(CHUNK_SIZE + 1), SALT);
    let (header, chunks) = cut_up(&sealed);
    let derived = hkdf::Hkdf::<sha2::Sha384>::new(Some(&SALT), &KEY);
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    derived.expand(b"enarx package v1 key", &mut key).unwrap();
    derived
        .expand(b"enarx package v1 nonce", &mut nonce[..7])
        .unwrap();
    (nonce[10], nonce[11]) = (1, 1);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header),
            &mut [],
        )
        .unwrap();
    let error = open(&join(header, &[chunks[0], tag.as_ref()])).unwrap_err();
    assert!(
        matches!(error, StreamError::Altered { chunk: 1 }),
        "{error}"
    );
    assert!(open(&seal(&[], SALT)).unwrap().is_empty());
}

#[test]
fn a_failing_source_is_reported_and_final() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("the cable is cut"));
            }
            self.0.read(buffer)
        }
    }
    let sealed = seal(&pattern(2 * CHUNK_SIZE), SALT);
    for length in [0, 40, HEADER_SIZE, HEADER_SIZE + 100, sealed.len()] {
        let error = OpenStream::new(BufReader::new(Failing(&sealed[..length])), &key())
            .and_then(|mut stream| {
                loop {
                    let count = stream.fill()?.len();
                    stream.consume(count);
                }
                #[expect(unreachable_code, reason = "gives the closure its type")]
                Ok(())
            })
            .unwrap_err();
        assert!(error.to_string().contains("cable"), "{error}");
    }
}
