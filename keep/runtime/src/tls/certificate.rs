//! A certificate that a Keep issues to itself (RFC 5280).

use std::{net::IpAddr, time::Duration};

use super::signing::SigningKeyP256;

/// What the certificate says.
pub struct Subject<'a> {
    /// Host names and IP addresses.
    pub names: &'a [String],
    /// From when on it is valid, since the Unix epoch.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// Its number.
    pub serial: [u8; 16],
}

/// The certificate of `key`, signed by itself, in DER.
pub fn self_signed(key: &SigningKeyP256, subject: &Subject<'_>) -> Vec<u8> {
    // A number is positive, and has no zeros in front.
    let mut serial = subject.serial;
    serial[0] = serial[0] & 0x7f | 0x40;
    let name = sequence(&[&set(&[&sequence(&[
        COMMON_NAME,
        &tlv(UTF8_STRING, b"Enarx Keep"),
    ])])]);
    let validity = sequence(&[&time(subject.from), &time(subject.until)]);
    let to_be_signed = sequence(&[
        &tlv(0xa0, &tlv(INTEGER, &[2])),
        &tlv(INTEGER, &serial),
        &sequence(&[ECDSA_WITH_SHA256]),
        &name,
        &validity,
        &name,
        key.public(),
        &tlv(
            0xa3,
            &sequence(&extensions(subject.names).each_ref().map(Vec::as_slice)),
        ),
    ]);
    let signature = [&[0], key.sign(&to_be_signed).as_slice()].concat();
    sequence(&[
        &to_be_signed,
        &sequence(&[ECDSA_WITH_SHA256]),
        &tlv(BIT_STRING, &signature),
    ])
}

/// What it is for: a server of these names (RFC 5280, section 4.2.1).
fn extensions(names: &[String]) -> [Vec<u8>; 4] {
    let names: Vec<Vec<u8>> = names.iter().map(|name| alternative_name(name)).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    [
        extension(BASIC_CONSTRAINTS, true, &sequence(&[])),
        // digitalSignature.
        extension(KEY_USAGE, true, &tlv(BIT_STRING, &[7, 0x80])),
        extension(
            EXTENDED_KEY_USAGE,
            false,
            &sequence(&[SERVER_AUTHENTICATION]),
        ),
        extension(SUBJECT_ALTERNATIVE_NAME, false, &sequence(&names)),
    ]
}

fn alternative_name(name: &str) -> Vec<u8> {
    match name.parse() {
        Ok(IpAddr::V4(address)) => tlv(0x87, &address.octets()),
        Ok(IpAddr::V6(address)) => tlv(0x87, &address.octets()),
        Err(_) => tlv(0x82, name.as_bytes()),
    }
}

fn extension(identifier: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let value = tlv(OCTET_STRING, value);
    if critical {
        sequence(&[identifier, &[BOOLEAN, 1, 0xff], &value])
    } else {
        sequence(&[identifier, &value])
    }
}

/// A time: with two digits of the year up to 2049, then with four (section 4.1.2.5).
fn time(since_epoch: Duration) -> Vec<u8> {
    let seconds = since_epoch.as_secs().min(LAST_SECOND);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    if year < 2050 {
        tlv(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes())
    } else {
        tlv(GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes())
    }
}

/// 9999-12-31 23:59:59, "no well-defined expiration date" (section 4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

/// Year, month and day of a day since the epoch.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SET, &parts.concat())
}

/// Tag, length and value (X.690, section 8.1).
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    let length = value.len().to_be_bytes();
    let significant = &length[value.len().leading_zeros() as usize / 8..];
    match significant {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            encoded.push(0x80 | long.len() as u8);
            encoded.extend_from_slice(long);
        }
    }
    encoded.extend_from_slice(value);
    encoded
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Object identifiers, encoded.
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 4, 3];
const BASIC_CONSTRAINTS: &[u8] = &[0x06, 3, 0x55, 0x1d, 19];
const KEY_USAGE: &[u8] = &[0x06, 3, 0x55, 0x1d, 15];
const EXTENDED_KEY_USAGE: &[u8] = &[0x06, 3, 0x55, 0x1d, 37];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x06, 3, 0x55, 0x1d, 17];
const SERVER_AUTHENTICATION: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let shown = |seconds| String::from_utf8(time(Duration::from_secs(seconds))[2..].to_vec());
        for (seconds, text) in [
            (0, "700101000000Z"),
            (951_782_400, "000229000000Z"),
            (1_796_083_199, "261130235959Z"),
            (2_524_607_999, "491231235959Z"),
            (2_524_608_000, "20500101000000Z"),
            (4_107_542_400, "21000301000000Z"),
            (u64::MAX, "99991231235959Z"),
        ] {
            assert_eq!(shown(seconds).unwrap(), text);
        }
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        assert_eq!(tlv(4, &[]), [4, 0]);
        assert_eq!(tlv(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tlv(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[0; 256])[..4], [4, 0x82, 1, 0]);
    }
}
