//! Looking up names: what the payloads of [`Kind::Lookup`](crate::envelope::Kind::Lookup)
//! and [`Kind::Addresses`](crate::envelope::Kind::Addresses) are.
//!
//! ```text
//! Keep -> host   number (4, LE) || name (1 to 253)
//! host -> Keep   number (4, LE) || status (1) || address (17)*
//! ```
//!
//! An address is `4` or `6` and 16 bytes, of which the fourth version's has four, and
//! zeros behind them. The host may say what it likes: a name means nothing in a Keep until
//! whoever answers at the address has proven to have it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name in bytes (RFC 1035, section 2.3.4).
pub const MAX_NAME: usize = 253;

/// The most addresses of one answer.
pub const MAX_ADDRESSES: usize = 16;

/// Size of the longest request in bytes.
pub const MAX_REQUEST: usize = NUMBER + MAX_NAME;

/// Size of the longest answer in bytes.
pub const MAX_ANSWER: usize = NUMBER + 1 + MAX_ADDRESSES * ADDRESS;

const NUMBER: usize = 4;
const ADDRESS: usize = 17;

/// Writes the request with this number; `None` for a name that has no length which
/// names have.
pub fn encode_request<'a>(
    number: u32,
    name: &str,
    buffer: &'a mut [u8; MAX_REQUEST],
) -> Option<&'a [u8]> {
    if !(1..=MAX_NAME).contains(&name.len()) {
        return None;
    }
    let end = NUMBER + name.len();
    buffer[..NUMBER].copy_from_slice(&number.to_le_bytes());
    buffer[NUMBER..end].copy_from_slice(name.as_bytes());
    Some(&buffer[..end])
}

/// Reads a request: its number and the name.
///
/// # Errors
///
/// [`LookupError`] for bytes that are none.
pub fn decode_request(bytes: &[u8]) -> Result<(u32, &str), LookupError> {
    let (number, name) = number(bytes)?;
    if !(1..=MAX_NAME).contains(&name.len()) {
        return Err(LookupError::Length);
    }
    let name = core::str::from_utf8(name).map_err(|_| LookupError::Name)?;
    Ok((number, name))
}

/// Writes the answer to the request with this number, of the first [`MAX_ADDRESSES`]
/// addresses.
pub fn encode_answer<'a>(
    number: u32,
    answer: Result<&[IpAddr], Refusal>,
    buffer: &'a mut [u8; MAX_ANSWER],
) -> &'a [u8] {
    let (status, addresses) = match answer {
        Ok(addresses) => (FOUND, addresses),
        Err(refusal) => (refusal as u8, &[][..]),
    };
    buffer[..NUMBER].copy_from_slice(&number.to_le_bytes());
    buffer[NUMBER] = status;
    let mut end = NUMBER + 1;
    for address in addresses.iter().take(MAX_ADDRESSES) {
        let place = &mut buffer[end..end + ADDRESS];
        place.fill(0);
        match address {
            IpAddr::V4(address) => {
                place[0] = 4;
                place[1..5].copy_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                place[0] = 6;
                place[1..].copy_from_slice(&address.octets());
            }
        }
        end += ADDRESS;
    }
    &buffer[..end]
}

/// Reads an answer: the number of its request, and the addresses.
///
/// # Errors
///
/// [`LookupError`] for bytes that are none.
pub fn decode_answer(bytes: &[u8]) -> Result<(u32, Result<Addresses<'_>, Refusal>), LookupError> {
    let (number, rest) = number(bytes)?;
    let (status, addresses) = rest.split_first().ok_or(LookupError::Length)?;
    let refusal = match *status {
        FOUND => None,
        1 => Some(Refusal::Unknown),
        2 => Some(Refusal::Denied),
        3 => Some(Refusal::Failed),
        other => return Err(LookupError::Status(other)),
    };
    let fits = addresses.len().is_multiple_of(ADDRESS)
        && addresses.len() <= MAX_ADDRESSES * ADDRESS
        && addresses.is_empty() == refusal.is_some();
    if !fits {
        return Err(LookupError::Length);
    }
    for address in addresses.chunks_exact(ADDRESS) {
        if !matches!(
            address,
            [6, ..] | [4, _, _, _, _, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        ) {
            return Err(LookupError::Address);
        }
    }
    Ok((number, refusal.map_or(Ok(Addresses(addresses)), Err)))
}

/// The addresses of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses<'a>(&'a [u8]);

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let (address, rest) = self.0.split_first_chunk::<ADDRESS>()?;
        self.0 = rest;
        let [version, octets @ ..] = address;
        Some(match (version, octets) {
            (4, [a, b, c, d, ..]) => Ipv4Addr::new(*a, *b, *c, *d).into(),
            (_, octets) => Ipv6Addr::from(*octets).into(),
        })
    }
}

const FOUND: u8 = 0;

/// Why a name has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    /// Nothing has this name.
    #[error("the host knows nothing of this name")]
    Unknown = 1,
    /// The host does not let this Keep use its network.
    #[error("this Keep's host gave it no network")]
    Denied = 2,
    /// The host could not find out.
    #[error("the host could not look it up")]
    Failed = 3,
}

/// What is wrong with a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// A length that none has.
    #[error("it has a wrong length")]
    Length,
    /// A name that is not UTF-8.
    #[error("the name is not UTF-8")]
    Name,
    /// A status that does not exist.
    #[error("status {0} is unknown")]
    Status(u8),
    /// An address of no version, or with bytes behind it.
    #[error("an address is malformed")]
    Address,
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), LookupError> {
    let (number, rest) = bytes
        .split_first_chunk::<NUMBER>()
        .ok_or(LookupError::Length)?;
    Ok((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        let mut buffer = [0; MAX_REQUEST];
        let bytes = encode_request(7, "keep.example", &mut buffer).unwrap();
        assert_eq!(decode_request(bytes), Ok((7, "keep.example")));
        assert_eq!(decode_request(&bytes[..4]), Err(LookupError::Length));
        assert_eq!(
            decode_request(&[0; MAX_REQUEST + 1]),
            Err(LookupError::Length)
        );
        assert_eq!(decode_request(&[0, 0, 0, 0, 0xff]), Err(LookupError::Name));
        let mut buffer = [0; MAX_REQUEST];
        assert!(encode_request(7, "", &mut buffer).is_none());
        let long = std::string::String::from_utf8(std::vec![b'a'; 254]).unwrap();
        assert!(encode_request(7, &long, &mut buffer).is_none());
    }

    #[test]
    fn answers_survive_the_wire() {
        let addresses: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let mut buffer = [0; MAX_ANSWER];
        let bytes = encode_answer(9, Ok(&addresses), &mut buffer);
        let (number, found) = decode_answer(bytes).unwrap();
        assert_eq!(number, 9);
        assert_eq!(found.unwrap().collect::<Vec<_>>(), addresses);
        for refusal in [Refusal::Unknown, Refusal::Denied, Refusal::Failed] {
            let mut buffer = [0; MAX_ANSWER];
            let bytes = encode_answer(9, Err(refusal), &mut buffer);
            assert_eq!(decode_answer(bytes), Ok((9, Err(refusal))));
        }
        let many = [addresses[0]; MAX_ADDRESSES + 1];
        let mut buffer = [0; MAX_ANSWER];
        let bytes = encode_answer(9, Ok(&many), &mut buffer);
        let (_, found) = decode_answer(bytes).unwrap();
        assert_eq!(found.unwrap().count(), MAX_ADDRESSES);
    }

    #[test]
    fn a_lying_host_is_refused() {
        let found = |address: &[u8]| [&[1, 0, 0, 0, 0], address].concat();
        let mut four = [0; 17];
        four[..2].copy_from_slice(&[4, 127]);
        assert!(decode_answer(&found(&four)).is_ok());
        four[5] = 1;
        assert_eq!(decode_answer(&found(&four)), Err(LookupError::Address));
        four[0] = 5;
        assert_eq!(decode_answer(&found(&four)), Err(LookupError::Address));
        assert_eq!(decode_answer(&found(&[])), Err(LookupError::Length));
        assert_eq!(decode_answer(&found(&[6; 16])), Err(LookupError::Length));
        assert_eq!(
            decode_answer(&found(&[6; 17 * 17])),
            Err(LookupError::Length)
        );
        assert_eq!(decode_answer(&[1, 0, 0, 0]), Err(LookupError::Length));
        assert_eq!(decode_answer(&[1, 0, 0, 0, 4]), Err(LookupError::Status(4)));
        let refused_with_address = [&[1, 0, 0, 0, 1][..], &[6; 17]].concat();
        assert_eq!(
            decode_answer(&refused_with_address),
            Err(LookupError::Length)
        );
    }
}
