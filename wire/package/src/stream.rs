//! The encrypted stream: chunks of AES-256-GCM in the STREAM construction.
//!
//! "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (Hoang,
//! Reyhanitabar, Rogaway, Vizár, 2015), section 7: the nonce of each chunk holds
//! its position and whether it is the last, so that chunks cannot be reordered,
//! repeated, dropped or cut off.

use std::io::{BufRead, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{ContentKey, key::StreamSecrets};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK_SIZE: usize = 64 << 10;

/// Bytes of authentication tag after each chunk.
pub const TAG_SIZE: usize = 16;

/// Bytes before the first chunk.
pub const HEADER_SIZE: usize = 80;

/// The size of the stream that holds `plaintext` bytes.
#[must_use]
pub const fn sealed_size(plaintext: u64) -> u64 {
    let chunks = if plaintext == 0 {
        1
    } else {
        plaintext.div_ceil(CHUNK_SIZE as u64)
    };
    HEADER_SIZE as u64 + plaintext + chunks * TAG_SIZE as u64
}

/// The public first bytes of a package.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | the text `ENARXPKG` |
/// | 8 | 4 | version, 1, little-endian |
/// | 12 | 4 | zero |
/// | 16 | 32 | salt |
/// | 48 | 32 | key commitment |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Random, fresh for each package.
    pub salt: [u8; 32],
    /// Names the one key that opens the package, without giving it away.
    pub commitment: [u8; 32],
}

impl Header {
    /// Encodes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.salt);
        bytes[48..].copy_from_slice(&self.commitment);
        bytes
    }

    /// Decodes a header.
    ///
    /// # Errors
    ///
    /// [`StreamError::NotAPackage`] or [`StreamError::Version`].
    pub fn decode(bytes: &[u8; HEADER_SIZE]) -> Result<Self, StreamError> {
        if &bytes[..8] != MAGIC {
            return Err(StreamError::NotAPackage);
        }
        let mut version = [0; 4];
        version.copy_from_slice(&bytes[8..12]);
        match u32::from_le_bytes(version) {
            VERSION if bytes[12..16] == [0; 4] => {}
            VERSION => return Err(StreamError::NotAPackage),
            version => return Err(StreamError::Version(version)),
        }
        let mut header = Self {
            salt: [0; 32],
            commitment: [0; 32],
        };
        header.salt.copy_from_slice(&bytes[16..48]);
        header.commitment.copy_from_slice(&bytes[48..]);
        Ok(header)
    }
}

/// Encrypts what is written to it, into `sink`.
pub struct SealStream<W> {
    sink: W,
    cipher: Cipher,
    /// Room for a chunk, or as much of it as was needed so far.
    chunk: Zeroizing<Vec<u8>>,
    filled: usize,
    failed: bool,
}

impl<W: Write> SealStream<W> {
    /// Starts a stream under `key` with a fresh random `salt`, and writes its header.
    ///
    /// # Errors
    ///
    /// [`StreamError::Io`] when the sink fails.
    pub fn new(mut sink: W, key: &ContentKey, salt: [u8; 32]) -> Result<Self, StreamError> {
        let secrets = key.derive(&salt);
        let header = Header {
            salt,
            commitment: secrets.commitment,
        }
        .encode();
        sink.write_all(&header)?;
        Ok(Self {
            sink,
            cipher: Cipher::new(&secrets, header),
            chunk: Zeroizing::default(),
            filled: 0,
            failed: false,
        })
    }

    /// Encrypts `bytes` after all earlier ones. Whole chunks with more after them are encrypted from
    /// where they lie.
    ///
    /// # Errors
    ///
    /// [`StreamError::Io`] when the sink fails, [`StreamError::TooLong`] after 2^32
    /// chunks, [`StreamError::Broken`] after any of them.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            // A full chunk is sealed only when more is to come, since the last one is sealed
            // differently.
            if self.filled == CHUNK_SIZE {
                self.seal_gathered(false)?;
            }
            let count = bytes.len().min(CHUNK_SIZE - self.filled);
            let (now, later) = bytes.split_at(count);
            if count == CHUNK_SIZE && !later.is_empty() {
                self.seal_lying(now)?;
            } else {
                let end = self.filled + count;
                make_room(&mut self.chunk, end);
                self.chunk[self.filled..end].copy_from_slice(now);
                self.filled = end;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Encrypts the last chunk, and gives back the sink, flushed.
    ///
    /// # Errors
    ///
    /// As [`SealStream::write`].
    pub fn finish(mut self) -> Result<W, StreamError> {
        self.seal_gathered(true)?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Seals what was gathered of a chunk.
    fn seal_gathered(&mut self, last: bool) -> Result<(), StreamError> {
        self.once(|stream| {
            let nonce = stream.cipher.next_nonce(last)?;
            let chunk = &mut stream.chunk[..stream.filled];
            let aad = Aad::from(stream.cipher.header);
            let tag = (stream.cipher.key)
                .seal_in_place_separate_tag(nonce, aad, chunk)
                .map_err(|_| StreamError::Cipher)?;
            stream.sink.write_all(chunk)?;
            stream.sink.write_all(tag.as_ref())?;
            stream.filled = 0;
            Ok(())
        })
    }

    /// Seals a whole chunk, which is not the last. Nothing was gathered before it.
    fn seal_lying(&mut self, chunk: &[u8]) -> Result<(), StreamError> {
        self.once(|stream| {
            let nonce = stream.cipher.next_nonce(false)?;
            make_room(&mut stream.chunk, CHUNK_SIZE);
            let sealed = &mut stream.chunk[..CHUNK_SIZE];
            let mut tag = [0; TAG_SIZE];
            let aad = Aad::from(stream.cipher.header);
            (stream.cipher.key)
                .seal_out_of_place_scatter(nonce, aad, chunk, sealed, &[], &mut tag)
                .map_err(|_| StreamError::Cipher)?;
            stream.sink.write_all(sealed)?;
            Ok(stream.sink.write_all(&tag)?)
        })
    }

    /// Does what cannot be done again when it has failed: a part of a chunk in the sink, or a chunk that
    /// was encrypted in place and not written, cannot be mended.
    fn once(
        &mut self,
        seal: impl FnOnce(&mut Self) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(StreamError::Broken);
        }
        seal(self)?;
        self.failed = false;
        Ok(())
    }
}

/// Decrypts the stream that `source` gives. Nothing is given out before its chunk
/// is authenticated.
pub struct OpenStream<R> {
    chunks: SealedChunks<R>,
    /// Range of opened plaintext in `plaintext` that was not read yet.
    plaintext: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    ended: bool,
    failed: bool,
}

impl<R: BufRead> OpenStream<R> {
    /// Reads the header from `source`, and checks that `key` is the stream's own.
    ///
    /// # Errors
    ///
    /// [`StreamError::NotAPackage`], [`StreamError::Version`],
    /// [`StreamError::WrongKey`], [`StreamError::Truncated`] or
    /// [`StreamError::Io`].
    pub fn new(mut source: R, key: &ContentKey) -> Result<Self, StreamError> {
        let mut bytes = [0; HEADER_SIZE];
        match read_full(&mut source, &mut bytes)? {
            HEADER_SIZE => {}
            count if bytes[..count.min(8)] == MAGIC[..count.min(8)] && count > 0 => {
                return Err(StreamError::Truncated);
            }
            _ => return Err(StreamError::NotAPackage),
        }
        let header = Header::decode(&bytes)?;
        let secrets = key.derive(&header.salt);
        if !bool::from(secrets.commitment.ct_eq(&header.commitment)) {
            return Err(StreamError::WrongKey);
        }
        Ok(Self {
            chunks: SealedChunks {
                source,
                cipher: Cipher::new(&secrets, bytes),
                gathered: Vec::new(),
            },
            plaintext: Zeroizing::default(),
            start: 0,
            end: 0,
            ended: false,
            failed: false,
        })
    }

    /// The next authenticated bytes, empty at the stream's authenticated end.
    /// [`OpenStream::consume`] says how many were used.
    ///
    /// # Errors
    ///
    /// [`StreamError::Altered`], [`StreamError::Truncated`], [`StreamError::Io`], and
    /// [`StreamError::Broken`] after any of them.
    pub fn fill(&mut self) -> Result<&[u8], StreamError> {
        while self.start == self.end && !self.ended {
            // Who goes on after an error must not find a later chunk that fits.
            if std::mem::replace(&mut self.failed, true) {
                return Err(StreamError::Broken);
            }
            make_room(&mut self.plaintext, self.chunks.next_size()?);
            let opened = self.chunks.open_next(&mut self.plaintext)?;
            (self.start, self.end, self.ended) = (0, opened.size, opened.last);
            self.failed = false;
        }
        Ok(&self.plaintext[self.start..self.end])
    }

    /// Marks `count` bytes of the last [`OpenStream::fill`] as used.
    pub fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
    }

    /// Reads the next authenticated bytes into `place`, which is not empty; gives how many, 0
    /// only at the stream's authenticated end. A whole chunk is opened where it shall be.
    ///
    /// # Errors
    ///
    /// As [`OpenStream::fill`]. There is nothing in `place` then that was not there before or
    /// authenticated, but zeros.
    pub(crate) fn read(&mut self, place: &mut [u8]) -> Result<usize, StreamError> {
        if self.start < self.end || self.ended || place.len() < CHUNK_SIZE {
            let available = self.fill()?;
            let count = available.len().min(place.len());
            place[..count].copy_from_slice(&available[..count]);
            self.consume(count);
            return Ok(count);
        }
        if std::mem::replace(&mut self.failed, true) {
            return Err(StreamError::Broken);
        }
        let opened = self.chunks.open_next(&mut place[..CHUNK_SIZE])?;
        self.ended = opened.last;
        self.failed = false;
        Ok(opened.size)
    }
}

/// The chunks of a stream that were not opened yet.
struct SealedChunks<R> {
    source: R,
    cipher: Cipher,
    /// The next chunk, if it was gathered because it does not lie in one piece in the source's own
    /// buffer.
    gathered: Vec<u8>,
}

/// A chunk that was opened.
struct OpenedChunk {
    /// Bytes of plaintext.
    size: usize,
    /// Whether it is the stream's last.
    last: bool,
}

impl<R: BufRead> SealedChunks<R> {
    /// Bytes of plaintext in the next chunk.
    fn next_size(&mut self) -> Result<usize, StreamError> {
        let sealed = match self.whole()? {
            Some(chunk) => chunk.len(),
            None => self.gather()?.len(),
        };
        sealed.checked_sub(TAG_SIZE).ok_or(StreamError::Truncated)
    }

    /// Opens the next chunk into the beginning of `plaintext`, which has room for it. When that
    /// fails, `plaintext` is zeroized.
    fn open_next(&mut self, plaintext: &mut [u8]) -> Result<OpenedChunk, StreamError> {
        let position = self.cipher.position;
        let size = self.next_size()?;
        if self.gathered.is_empty() {
            // Opened where it lies.
            let sealed = &available(&mut self.source)?[..SEALED_CHUNK];
            if !self.cipher.open(sealed, false, plaintext)? {
                plaintext.zeroize();
                return Err(StreamError::Altered { chunk: position });
            }
            self.source.consume(SEALED_CHUNK);
            return Ok(OpenedChunk { size, last: false });
        }
        let last = available(&mut self.source)?.is_empty();
        if !self.cipher.open(&self.gathered, last, plaintext)? {
            return Err(self.diagnose(position, last, plaintext));
        }
        // One text has one stream: only an empty text has an empty chunk.
        if size == 0 && position > 0 {
            return Err(StreamError::Altered { chunk: position });
        }
        self.gathered.clear();
        Ok(OpenedChunk { size, last })
    }

    /// The next chunk, if it lies in the source's buffer, with a byte more: so it is not the last.
    fn whole(&mut self) -> Result<Option<&[u8]>, StreamError> {
        if !self.gathered.is_empty() {
            return Ok(None);
        }
        let available = available(&mut self.source)?;
        Ok((available.len() > SEALED_CHUNK).then(|| &available[..SEALED_CHUNK]))
    }

    /// Gathers the next chunk, which is shorter only at the source's end.
    fn gather(&mut self) -> Result<&[u8], StreamError> {
        while self.gathered.len() < SEALED_CHUNK {
            let available = available(&mut self.source)?;
            let count = available.len().min(SEALED_CHUNK - self.gathered.len());
            if count == 0 {
                break;
            }
            self.gathered.extend_from_slice(&available[..count]);
            self.source.consume(count);
        }
        Ok(&self.gathered)
    }

    /// Tells a stream that was cut at the end of a chunk from one that was altered.
    fn diagnose(&mut self, position: u64, last: bool, plaintext: &mut [u8]) -> StreamError {
        self.cipher.position = position;
        let sealed = &self.gathered;
        let cut = last && matches!(self.cipher.open(sealed, false, plaintext), Ok(true));
        plaintext.zeroize();
        if cut {
            StreamError::Truncated
        } else {
            StreamError::Altered { chunk: position }
        }
    }
}

/// Why a stream could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The source or the sink failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The first bytes are not a package's.
    #[error("this is not an Enarx package")]
    NotAPackage,
    /// Made by another version of the format.
    #[error("package format version {0} is not supported; this is version {VERSION}")]
    Version(u32),
    /// The key commitment does not match.
    #[error("the key is not the one that this package was sealed with")]
    WrongKey,
    /// The stream ends before its last chunk.
    #[error("the package is truncated")]
    Truncated,
    /// A chunk was changed, moved, repeated or left out.
    #[error("chunk {chunk} of the package is not the one that its owner sealed")]
    Altered {
        /// Position of the chunk, counted from 0.
        chunk: u64,
    },
    /// More chunks than the nonce can count.
    #[error("a package holds at most 2^32 chunks of {CHUNK_SIZE} bytes")]
    TooLong,
    /// The cipher itself failed.
    #[error("AES-256-GCM failed")]
    Cipher,
    /// The stream failed before and cannot go on.
    #[error("the package failed before and cannot go on")]
    Broken,
}

const MAGIC: &[u8; 8] = b"ENARXPKG";
const VERSION: u32 = 1;
const SEALED_CHUNK: usize = CHUNK_SIZE + TAG_SIZE;

/// The cipher of one stream and the position of its next chunk.
struct Cipher {
    key: LessSafeKey,
    nonce_prefix: [u8; 7],
    header: [u8; HEADER_SIZE],
    position: u64,
}

impl Cipher {
    fn new(secrets: &StreamSecrets, header: [u8; HEADER_SIZE]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &*secrets.key)
            .expect("the key has the size of an AES-256 key");
        Self {
            key: LessSafeKey::new(key),
            nonce_prefix: secrets.nonce_prefix,
            header,
            position: 0,
        }
    }

    /// Opens the next chunk, of at least a tag, into the beginning of `plaintext`;
    /// says whether it is authentic.
    fn open(
        &mut self,
        sealed: &[u8],
        last: bool,
        plaintext: &mut [u8],
    ) -> Result<bool, StreamError> {
        let nonce = self.next_nonce(last)?;
        let (text, tag) = sealed.split_at(sealed.len() - TAG_SIZE);
        let opened = self.key.open_separate_gather(
            nonce,
            Aad::from(self.header),
            text,
            tag,
            &mut plaintext[..text.len()],
        );
        Ok(opened.is_ok())
    }

    fn next_nonce(&mut self, last: bool) -> Result<Nonce, StreamError> {
        let nonce = self.nonce(self.position, last)?;
        self.position += 1;
        Ok(nonce)
    }

    fn nonce(&self, position: u64, last: bool) -> Result<Nonce, StreamError> {
        let position = u32::try_from(position).map_err(|_| StreamError::TooLong)?;
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.nonce_prefix);
        nonce[7..11].copy_from_slice(&position.to_be_bytes());
        nonce[11] = u8::from(last);
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Makes `memory` as long as `size`, with what is in it, and leaves no copy of that behind. Most
/// packages are far smaller than a chunk, and memory that is not used costs the time to clear it.
fn make_room(memory: &mut Zeroizing<Vec<u8>>, size: usize) {
    if memory.len() < size {
        let mut larger = Zeroizing::new(vec![0; size.next_power_of_two().max(LEAST_ROOM)]);
        larger[..memory.len()].copy_from_slice(memory);
        *memory = larger;
    }
}

/// The room that is made first, in bytes.
const LEAST_ROOM: usize = 4 << 10;

/// What the source has in its buffer, empty only at its end.
pub(crate) fn available(source: &mut impl BufRead) -> std::io::Result<&[u8]> {
    loop {
        match source.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok([]) => return Ok(&[]),
            // Asked again, since what the first call lends would outlive the loop.
            Ok(_) => return source.fill_buf(),
            Err(error) => return Err(error),
        }
    }
}

/// Reads until `buffer` is full or the source ends; gives the bytes read.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
