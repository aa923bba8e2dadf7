//! The identity of a SEV-SNP guest: what its owner signs, and what the host hands to the firmware at
//! the end of a launch.
//!
//! SEV Secure Nested Paging Firmware ABI Specification (AMD #56860), section 8.18
//! `SNP_LAUNCH_FINISH`, tables "ID Block" and "ID Authentication Information", and chapter 10
//! for keys and signatures. The firmware refuses a guest that measures something else.

use sha2::{Digest as _, Sha384};

use crate::Digest;

/// What is said of a guest (`ID Block`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpIdentity {
    /// The launch digest that the guest must have.
    pub measurement: Digest,
    /// The family of the guest, for its owner's use (`FAMILY_ID`).
    pub family: [u8; 16],
    /// The guest's image, for its owner's use (`IMAGE_ID`).
    pub image: [u8; 16],
    /// Security version of the guest (`GUEST_SVN`).
    pub security_version: u32,
    /// The policy that the guest must be launched with.
    pub policy: u64,
}

impl SnpIdentity {
    /// Size of an encoded block in bytes.
    pub const SIZE: usize = 96;

    /// The block, which is what is signed.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut block = [0; Self::SIZE];
        block[..0x30].copy_from_slice(&self.measurement);
        block[0x30..0x40].copy_from_slice(&self.family);
        block[0x40..0x50].copy_from_slice(&self.image);
        block[0x50..0x54].copy_from_slice(&VERSION.to_le_bytes());
        block[0x54..0x58].copy_from_slice(&self.security_version.to_le_bytes());
        block[0x58..].copy_from_slice(&self.policy.to_le_bytes());
        block
    }

    /// Reads a block; nothing if its version is another one.
    #[must_use]
    pub fn decode(block: &[u8; Self::SIZE]) -> Option<Self> {
        if array::<4>(block, 0x50) != VERSION.to_le_bytes() {
            return None;
        }
        Some(Self {
            measurement: array(block, 0),
            family: array(block, 0x30),
            image: array(block, 0x40),
            security_version: u32::from_le_bytes(array(block, 0x54)),
            policy: u64::from_le_bytes(array(block, 0x58)),
        })
    }
}

/// A public key on P-384: its two coordinates, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpKey {
    /// The first coordinate.
    pub x: [u8; 48],
    /// The second coordinate.
    pub y: [u8; 48],
}

impl SnpKey {
    /// Size of an encoded key in bytes.
    pub const SIZE: usize = 0x404;

    /// The key as the firmware wants it (#56860, table "ECDSA P-384 Public Key Format").
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        const P384: u32 = 2;
        let mut key = [0; Self::SIZE];
        key[..4].copy_from_slice(&P384.to_le_bytes());
        key[0x04..0x34].copy_from_slice(&reversed(&self.x));
        key[0x4C..0x7C].copy_from_slice(&reversed(&self.y));
        key
    }

    /// What reports call the key (`ID_KEY_DIGEST`, `AUTHOR_KEY_DIGEST`).
    #[must_use]
    pub fn digest(&self) -> Digest {
        Sha384::digest(self.encode()).into()
    }
}

/// A signature by ECDSA on P-384 with SHA-384: its two numbers, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpSignature {
    /// The first number.
    pub r: [u8; 48],
    /// The second number.
    pub s: [u8; 48],
}

/// An identity with the signatures that vouch for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnpSignedIdentity {
    /// What is signed.
    pub identity: SnpIdentity,
    /// The key that has signed it.
    pub key: SnpKey,
    /// The signature over the encoded identity.
    pub signature: SnpSignature,
    /// The key that has signed the encoded `key`, if one has, and that signature.
    pub author: Option<(SnpKey, SnpSignature)>,
}

impl SnpSignedIdentity {
    /// Size in bytes of the block and what authenticates it.
    pub const SIZE: usize = SnpIdentity::SIZE + Self::AUTHENTICATION_SIZE;

    /// Size in bytes of what authenticates a block.
    pub const AUTHENTICATION_SIZE: usize = 4096;

    /// What authenticates the block (`ID Authentication Information`).
    #[must_use]
    pub fn authentication(&self) -> [u8; Self::AUTHENTICATION_SIZE] {
        const P384_WITH_SHA384: u32 = 1;
        let mut page = [0; Self::AUTHENTICATION_SIZE];
        let algorithm = P384_WITH_SHA384.to_le_bytes();
        page[..4].copy_from_slice(&algorithm);
        put_signature(&mut page, offset::SIGNATURE, &self.signature);
        page[offset::KEY..offset::KEY + SnpKey::SIZE].copy_from_slice(&self.key.encode());
        if let Some((author, signature)) = &self.author {
            page[4..8].copy_from_slice(&algorithm);
            put_signature(&mut page, offset::KEY_SIGNATURE, signature);
            page[offset::AUTHOR..offset::AUTHOR + SnpKey::SIZE].copy_from_slice(&author.encode());
        }
        page
    }

    /// Both, one behind the other.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..SnpIdentity::SIZE].copy_from_slice(&self.identity.encode());
        bytes[SnpIdentity::SIZE..].copy_from_slice(&self.authentication());
        bytes
    }

    /// Reads both. The signatures are not verified.
    ///
    /// # Errors
    ///
    /// [`SnpIdentityError`] when they are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnpIdentityError> {
        let bytes: &[u8; Self::SIZE] = bytes
            .try_into()
            .map_err(|_| SnpIdentityError::Size(bytes.len()))?;
        let (block, page) = bytes.split_at(SnpIdentity::SIZE);
        let identity = SnpIdentity::decode(&array(block, 0)).ok_or(SnpIdentityError::Version)?;
        let key = |at| SnpKey {
            x: reversed(&array(page, at + 0x04)),
            y: reversed(&array(page, at + 0x4C)),
        };
        let signature = |at| SnpSignature {
            r: reversed(&array(page, at)),
            s: reversed(&array(page, at + NUMBER_SIZE)),
        };
        let has_author = array::<4>(page, 4) != [0; 4];
        let read = Self {
            identity,
            key: key(offset::KEY),
            signature: signature(offset::SIGNATURE),
            author: has_author.then(|| (key(offset::AUTHOR), signature(offset::KEY_SIGNATURE))),
        };
        // Anything that was not read is zero, or another algorithm.
        if read.authentication() != *page {
            return Err(SnpIdentityError::Authentication);
        }
        Ok(read)
    }
}

/// What is wrong with a signed identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnpIdentityError {
    /// It has another size.
    #[error("a signed identity has {expected} bytes, not {0}", expected = SnpSignedIdentity::SIZE)]
    Size(usize),
    /// The block has a version other than 1.
    #[error("unknown version of the identity")]
    Version,
    /// Keys or signatures are of another kind, or reserved bytes are not zero.
    #[error("the identity is not signed by ECDSA on P-384 with SHA-384")]
    Authentication,
}

const VERSION: u32 = 1;

/// Bytes that a number of a signature has room in.
const NUMBER_SIZE: usize = 72;

/// Where things lie in what authenticates a block.
mod offset {
    pub const SIGNATURE: usize = 0x040;
    pub const KEY: usize = 0x240;
    pub const KEY_SIGNATURE: usize = 0x680;
    pub const AUTHOR: usize = 0x880;
}

fn put_signature(page: &mut [u8], at: usize, signature: &SnpSignature) {
    page[at..at + 48].copy_from_slice(&reversed(&signature.r));
    page[at + NUMBER_SIZE..at + NUMBER_SIZE + 48].copy_from_slice(&reversed(&signature.s));
}

fn reversed(number: &[u8; 48]) -> [u8; 48] {
    let mut reversed = *number;
    reversed.reverse();
    reversed
}

fn array<const SIZE: usize>(bytes: &[u8], at: usize) -> [u8; SIZE] {
    let mut array = [0; SIZE];
    array.copy_from_slice(&bytes[at..at + SIZE]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(with_author: bool) -> SnpSignedIdentity {
        let number = |seed: u8| core::array::from_fn(|index| seed.wrapping_add(index as u8));
        let key = |seed| SnpKey {
            x: number(seed),
            y: number(seed + 1),
        };
        let signature = |seed| SnpSignature {
            r: number(seed),
            s: number(seed + 1),
        };
        SnpSignedIdentity {
            identity: SnpIdentity {
                measurement: number(9),
                family: [1; 16],
                image: [2; 16],
                security_version: 3,
                policy: 0x3_0000,
            },
            key: key(20),
            signature: signature(40),
            author: with_author.then(|| (key(60), signature(80))),
        }
    }

    #[test]
    fn identities_are_read_back() {
        for with_author in [false, true] {
            let signed = signed(with_author);
            assert_eq!(SnpSignedIdentity::decode(&signed.encode()), Ok(signed));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = signed(true).encode();
        let with = |offset: usize| {
            let mut bytes = bytes;
            bytes[offset] ^= 2;
            SnpSignedIdentity::decode(&bytes).unwrap_err()
        };
        assert_eq!(with(0x50), SnpIdentityError::Version);
        // An algorithm, a curve, and reserved bytes around each field.
        for offset in [
            0x00, 0x04, 0x08, 0x70, 0x240, 0x2BC, 0x644, 0x880, 0xC84, 0xFFF,
        ] {
            assert_eq!(
                with(SnpIdentity::SIZE + offset),
                SnpIdentityError::Authentication,
                "{offset:#x}"
            );
        }
        let short = SnpSignedIdentity::decode(&bytes[1..]);
        assert_eq!(
            short,
            Err(SnpIdentityError::Size(SnpSignedIdentity::SIZE - 1))
        );
    }
}
