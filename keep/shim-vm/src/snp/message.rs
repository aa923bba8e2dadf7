//! Messages between a guest and the firmware (AMD #56860, chapter 7 and 8.26, table "Message
//! Header Format"): AES-256-GCM with a key that the two share, past a host that carries
//! them.
//!
//! Each message has a sequence number of its own, which is the initialization vector. A message that went
//! wrong in any way could make the guest use a number twice: after it, there are none any more.

use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce, Tag, aead::AeadInOut as _};
use enarx_wire_launch::PAGE_SIZE;

use super::secrets::KEY_SIZE;

/// A message as it is carried: one page.
pub type Page = [u8; PAGE_SIZE];

/// The guest's end of the way to its firmware.
pub struct Channel {
    /// None once something went wrong. It clears its key when it is dropped.
    cipher: Option<Aes256Gcm>,
    /// The latest sequence number of either side.
    sequence: u64,
}

/// Kinds of message (table "Message Type Encodings").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Asks for a report: 64 bytes of report data, the level, which key signs, 24 reserved.
    ReportRequest = 5,
    /// Has one: status, size, 24 reserved bytes, the report.
    ReportResponse = 6,
}

/// The channel cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl Channel {
    /// The channel with this key, of which no message was encrypted yet.
    #[must_use]
    pub fn new(key: &[u8; KEY_SIZE]) -> Self {
        Self {
            cipher: Some(Aes256Gcm::new(key.into())),
            sequence: 0,
        }
    }

    /// Has `exchange` carry a request of `kind` to the firmware, and gives the payload of the answer,
    /// which must be of kind `expected`.
    ///
    /// `exchange` may show the same request to the host as often as it likes.
    ///
    /// # Errors
    ///
    /// [`Broken`] if anything was wrong, now or before.
    pub fn ask(
        &mut self,
        kind: Kind,
        payload: &[u8],
        expected: Kind,
        answer: &mut Page,
        exchange: impl FnOnce(&Page, &mut Page) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        // Put back only if all was right.
        let cipher = self.cipher.take().ok_or(Broken)?;
        let request = seal(&cipher, self.sequence + 1, kind, payload)?;
        exchange(&request, answer)?;
        let length = open(&cipher, self.sequence + 2, expected, answer)?;
        // Too few for all 64 bits of it: a machine would have to ask for centuries.
        self.sequence += 2;
        self.cipher = Some(cipher);
        Ok(length)
    }
}

/// Where things lie in a message. Integers are little-endian.
mod at {
    /// The tag, in 32 bytes of which AES-GCM has 16.
    pub const TAG: usize = 0;
    pub const SEQUENCE: usize = 0x20;
    /// What is authenticated beside the payload begins here.
    pub const AUTHENTICATED: usize = 0x30;
    pub const ALGORITHM: usize = 0x30;
    pub const HEADER_VERSION: usize = 0x31;
    pub const HEADER_SIZE: usize = 0x32;
    pub const KIND: usize = 0x34;
    pub const VERSION: usize = 0x35;
    pub const SIZE: usize = 0x36;
    /// The level of the key, 0.
    pub const KEY: usize = 0x3C;
    pub const PAYLOAD: usize = 0x60;
}

const TAG_SIZE: usize = 16;

/// What every header has, but for kind and size.
fn header(kind: Kind, size: usize) -> [u8; at::PAYLOAD - at::AUTHENTICATED] {
    const AES_256_GCM: u8 = 1;
    let mut header = [0; at::PAYLOAD - at::AUTHENTICATED];
    let mut put = |offset: usize, value: u8| header[offset - at::AUTHENTICATED] = value;
    put(at::ALGORITHM, AES_256_GCM);
    put(at::HEADER_VERSION, 1);
    put(at::HEADER_SIZE, at::PAYLOAD as u8);
    put(at::KIND, kind as u8);
    put(at::VERSION, 1);
    put(at::KEY, 0);
    let [low, high] = (size as u16).to_le_bytes();
    put(at::SIZE, low);
    put(at::SIZE + 1, high);
    header
}

fn vector(sequence: u64) -> Nonce<<Aes256Gcm as aes_gcm::aead::AeadCore>::NonceSize> {
    let mut vector = [0; 12];
    vector[..8].copy_from_slice(&sequence.to_le_bytes());
    vector.into()
}

fn seal(cipher: &Aes256Gcm, sequence: u64, kind: Kind, payload: &[u8]) -> Result<Page, Broken> {
    let mut page = [0; PAGE_SIZE];
    let header = header(kind, payload.len());
    let place = page.get_mut(at::PAYLOAD..at::PAYLOAD + payload.len());
    let place = place.ok_or(Broken)?;
    place.copy_from_slice(payload);
    let tag = cipher
        .encrypt_inout_detached(&vector(sequence), &header, place.into())
        .map_err(|_| Broken)?;
    page[at::TAG..TAG_SIZE].copy_from_slice(&tag);
    page[at::SEQUENCE..at::SEQUENCE + 8].copy_from_slice(&sequence.to_le_bytes());
    page[at::AUTHENTICATED..at::PAYLOAD].copy_from_slice(&header);
    Ok(page)
}

/// Decrypts where it lies, and gives the payload's length.
fn open(cipher: &Aes256Gcm, sequence: u64, kind: Kind, page: &mut Page) -> Result<usize, Broken> {
    let size = usize::from(u16::from_le_bytes([page[at::SIZE], page[at::SIZE + 1]]));
    let header = header(kind, size);
    if page[at::SEQUENCE..at::SEQUENCE + 8] != sequence.to_le_bytes()
        || page[at::AUTHENTICATED..at::PAYLOAD] != header
    {
        return Err(Broken);
    }
    let mut tag = [0; TAG_SIZE];
    tag.copy_from_slice(&page[at::TAG..TAG_SIZE]);
    let place = page.get_mut(at::PAYLOAD..at::PAYLOAD + size);
    let place = place.ok_or(Broken)?;
    cipher
        .decrypt_inout_detached(&vector(sequence), &header, place.into(), &Tag::from(tag))
        .map_err(|_| Broken)?;
    Ok(size)
}

/// Where the payload of a message lies in its page.
pub const PAYLOAD: usize = at::PAYLOAD;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_SIZE] = [7; KEY_SIZE];

    /// What an honest firmware answers: the payload, the other way round.
    fn answer(request: &Page, sequence: u64, kind: Kind) -> Page {
        let cipher = Aes256Gcm::new((&KEY).into());
        let mut request = *request;
        let length = open(&cipher, sequence, Kind::ReportRequest, &mut request).unwrap();
        let mut payload = request[PAYLOAD..PAYLOAD + length].to_vec();
        payload.reverse();
        seal(&cipher, sequence + 1, kind, &payload).unwrap()
    }

    fn ask(channel: &mut Channel, exchange: impl FnOnce(&Page) -> Page) -> Result<Vec<u8>, Broken> {
        let mut page = [0; PAGE_SIZE];
        let length = channel.ask(
            Kind::ReportRequest,
            b"request",
            Kind::ReportResponse,
            &mut page,
            |request, answer| {
                *answer = exchange(request);
                Ok(())
            },
        )?;
        Ok(page[PAYLOAD..PAYLOAD + length].to_vec())
    }

    #[test]
    fn every_message_has_a_number_of_its_own() {
        let mut channel = Channel::new(&KEY);
        let mut seen = Vec::new();
        for sequence in [1, 3, 5] {
            let answered = ask(&mut channel, |request| {
                assert!(!seen.contains(request));
                seen.push(*request);
                answer(request, sequence, Kind::ReportResponse)
            });
            assert_eq!(answered.unwrap(), b"tseuqer");
        }
    }

    #[test]
    fn the_header_is_what_the_firmware_reads() {
        let mut channel = Channel::new(&KEY);
        let _ = ask(&mut channel, |request| {
            assert_eq!(request[0x10..0x20], [0; 16]);
            assert_eq!(request[0x20..0x28], [1, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(request[0x30..0x38], [1, 1, 0x60, 0, 5, 1, 7, 0]);
            assert!(request[0x38..0x60].iter().all(|byte| *byte == 0));
            assert_ne!(&request[0x60..0x67], b"request");
            *request
        });
    }

    /// Whatever the host makes of an answer, the guest finds out, and asks no more: not even the
    /// honest firmware is heard then.
    #[test]
    fn forged_replayed_and_reflected_answers_break_the_channel() {
        let lies: [&dyn Fn(&mut Page); 7] = [
            &|page| page[0] ^= 1,
            &|page| page[0x20] = 4,
            &|page| page[0x34] = 5,
            &|page| page[0x36] = 6,
            &|page| page[0x37] = 0x10,
            &|page| page[0x3C] = 1,
            &|page| page[0x60] ^= 0x80,
        ];
        for (index, lie) in lies.iter().enumerate() {
            let mut channel = Channel::new(&KEY);
            let lied = ask(&mut channel, |request| {
                let mut page = answer(request, 1, Kind::ReportResponse);
                lie(&mut page);
                page
            });
            assert_eq!(lied, Err(Broken), "{index}");
            let never = ask(&mut channel, |_| panic!("asked after a lie"));
            assert_eq!(never, Err(Broken));
        }

        let mut channel = Channel::new(&KEY);
        let mut first = [0; PAGE_SIZE];
        let answered = ask(&mut channel, |request| {
            first = answer(request, 1, Kind::ReportResponse);
            first
        });
        assert!(answered.is_ok());
        assert_eq!(ask(&mut channel, |_| first), Err(Broken));
        assert_eq!(
            ask(&mut Channel::new(&KEY), |request| *request),
            Err(Broken)
        );
        assert_eq!(
            ask(&mut Channel::new(&KEY), |request| answer(
                request,
                1,
                Kind::ReportRequest
            )),
            Err(Broken)
        );
        let mut page = [0; PAGE_SIZE];
        let failed = Channel::new(&KEY).ask(
            Kind::ReportRequest,
            b"",
            Kind::ReportResponse,
            &mut page,
            |_, _| Err(Broken),
        );
        assert_eq!(failed, Err(Broken));
    }
}
