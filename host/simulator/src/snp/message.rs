//! The firmware's end of a guest's messages (AMD #56860, chapter 7 and 8.26, table "Message Header
//! Format").

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Size of a message, whatever its payload, in bytes.
pub const MESSAGE_SIZE: usize = 4096;

/// Size of the keys for messages in bytes.
pub const MESSAGE_KEY_SIZE: usize = 32;

/// What the firmware knows of one guest's messages by one of its keys.
pub struct GuestMessages {
    key: Zeroizing<[u8; MESSAGE_KEY_SIZE]>,
    /// Messages by either side so far.
    count: u64,
}

/// The firmware does not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message that this guest can send now")]
pub struct BadMessage;

impl GuestMessages {
    /// Those by `key`, before the first one.
    #[must_use]
    pub fn new(key: &[u8; MESSAGE_KEY_SIZE]) -> Self {
        Self {
            key: Zeroizing::new(*key),
            count: 0,
        }
    }

    /// Answers a request for a report, which `report` gives for its report data.
    ///
    /// # Errors
    ///
    /// [`BadMessage`] where the firmware would not even answer.
    pub fn answer(
        &mut self,
        message: &[u8; MESSAGE_SIZE],
        report: impl FnOnce(&[u8; 64]) -> Option<Vec<u8>>,
    ) -> Result<[u8; MESSAGE_SIZE], BadMessage> {
        const REPORT_REQUEST: u8 = 5;
        const REPORT_RESPONSE: u8 = 6;
        const REQUEST_SIZE: usize = 96;
        const INVALID_PARAMETERS: u8 = 0x16;
        let key = UnboundKey::new(&AES_256_GCM, &*self.key).map_err(|_| BadMessage)?;
        let key = LessSafeKey::new(key);
        let size = usize::from(u16::from_le_bytes([message[0x36], message[0x37]]));
        if message[0x20..0x28] != (self.count + 1).to_le_bytes()
            || message[HEADER..PAYLOAD] != header(REPORT_REQUEST, size)
            || size != REQUEST_SIZE
        {
            return Err(BadMessage);
        }
        let mut sealed = message[PAYLOAD..PAYLOAD + size].to_vec();
        sealed.extend(&message[..TAG_SIZE]);
        let aad = Aad::from(&message[HEADER..PAYLOAD]);
        let request = key
            .open_in_place(vector(self.count + 1), aad, &mut sealed)
            .map_err(|_| BadMessage)?;
        let mut report_data = [0; 64];
        report_data.copy_from_slice(&request[..64]);
        // Level 0, no other key, and nothing that is reserved.
        let simple = request[64..].iter().all(|byte| *byte == 0);
        let report = simple.then(|| report(&report_data)).flatten();

        let mut payload = vec![0; 32];
        match report {
            Some(report) => {
                payload[4..8].copy_from_slice(&(report.len() as u32).to_le_bytes());
                payload.extend(report);
            }
            None => payload[0] = INVALID_PARAMETERS,
        }
        let header = header(REPORT_RESPONSE, payload.len());
        let tag = key
            .seal_in_place_separate_tag(vector(self.count + 2), Aad::from(&header), &mut payload)
            .map_err(|_| BadMessage)?;
        let mut answer = [0; MESSAGE_SIZE];
        let place = answer.get_mut(PAYLOAD..PAYLOAD + payload.len());
        place.ok_or(BadMessage)?.copy_from_slice(&payload);
        answer[..TAG_SIZE].copy_from_slice(tag.as_ref());
        answer[0x20..0x28].copy_from_slice(&(self.count + 2).to_le_bytes());
        answer[HEADER..PAYLOAD].copy_from_slice(&header);
        self.count += 2;
        Ok(answer)
    }
}

/// The part of the header that is authenticated begins here.
const HEADER: usize = 0x30;
const PAYLOAD: usize = 0x60;
const TAG_SIZE: usize = 16;

fn header(kind: u8, size: usize) -> [u8; PAYLOAD - HEADER] {
    let mut header = [0; PAYLOAD - HEADER];
    // Algorithm, version and size of the header, kind, version of the message, its size.
    let [low, high] = (size as u16).to_le_bytes();
    header[..8].copy_from_slice(&[1, 1, 0x60, 0, kind, 1, low, high]);
    header
}

/// The initialization vector: the message's sequence number.
fn vector(sequence: u64) -> Nonce {
    let mut vector = [0; 12];
    vector[..8].copy_from_slice(&sequence.to_le_bytes());
    Nonce::assume_unique_for_key(vector)
}
