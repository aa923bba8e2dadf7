//! SIGSTRUCT: what whoever signs an enclave says of it.
//!
//! SDM, "Enclave Signature Structure (SIGSTRUCT)". All numbers are little-endian, those of
//! 3072 bits too.
//!
//! | offset | bytes | field | signed |
//! |---|---|---|---|
//! | 0 | 16 | HEADER | yes |
//! | 16 | 4 | VENDOR | yes |
//! | 20 | 4 | DATE, as yyyymmdd in decimal digits of four bits | yes |
//! | 24 | 16 | HEADER2 | yes |
//! | 40 | 4 | SWDEFINED | yes |
//! | 44 | 84 | zero | yes |
//! | 128 | 384 | MODULUS | |
//! | 512 | 4 | EXPONENT, 3 | |
//! | 516 | 384 | SIGNATURE | |
//! | 900 | 4 | MISCSELECT | yes |
//! | 904 | 4 | MISCMASK | yes |
//! | 908 | 4 | CET attributes and their mask, zero here | yes |
//! | 912 | 16 | ISVFAMILYID | yes |
//! | 928 | 16 | ATTRIBUTES | yes |
//! | 944 | 16 | ATTRIBUTEMASK | yes |
//! | 960 | 32 | ENCLAVEHASH | yes |
//! | 992 | 16 | zero | yes |
//! | 1008 | 16 | ISVEXTPRODID | yes |
//! | 1024 | 2 | ISVPRODID | yes |
//! | 1026 | 2 | ISVSVN | yes |
//! | 1028 | 12 | zero | |
//! | 1040 | 384 | Q1 | |
//! | 1424 | 384 | Q2 | |
//!
//! Nothing here signs: the keys are elsewhere, and a Keep has no use for them.

use alloc::boxed::Box;

use sha2::{Digest as _, Sha256};

use super::{Attributes, MISC_SELECT, MrEnclave};

/// Size of SIGSTRUCT in bytes.
pub const SIGSTRUCT_SIZE: usize = 1808;

/// Size in bytes of what of SIGSTRUCT is signed.
pub const SIGNED_SIZE: usize = MODULUS + (SIGNED_END - SIGNED_BODY);

/// Size in bytes of the key's modulus, and of all numbers of its size.
pub const MODULUS_SIZE: usize = 384;

/// The identity of a signer: SHA-256 of the modulus (SDM, "EINIT").
pub type MrSigner = [u8; 32];

/// What a signer says of an enclave.
///
/// EINIT refuses an enclave of which something here is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnclaveStatement {
    /// When this was said.
    pub date: SigningDate,
    /// The enclave's measurement.
    pub measurement: MrEnclave,
    /// The enclave's attributes.
    pub attributes: Attributes,
    /// Which of its attributes are meant.
    pub attribute_mask: Attributes,
    /// The enclave's MISCSELECT.
    pub misc_select: u32,
    /// Which of its bits are meant.
    pub misc_mask: u32,
    /// ISVPRODID: which of the signer's products it is.
    pub product: u16,
    /// ISVSVN: grows when a product's security does.
    pub security_version: u16,
    /// ISVEXTPRODID, beside `product`.
    pub extended_product: [u8; 16],
    /// ISVFAMILYID: what products belong to.
    pub family: [u8; 16],
}

impl EnclaveStatement {
    /// Of a Keep: everything is meant, whether a debugger may look into it above all.
    #[must_use]
    pub const fn of_keep(measurement: MrEnclave, debug: bool, date: SigningDate) -> Self {
        Self {
            date,
            measurement,
            attributes: Attributes::of_keep(debug),
            attribute_mask: Attributes {
                // Of an enclave that EINIT looks at, INIT is not set yet.
                flags: !Attributes::INIT,
                extended_features: u64::MAX,
            },
            misc_select: MISC_SELECT,
            misc_mask: u32::MAX,
            product: 0,
            security_version: 0,
            extended_product: [0; 16],
            family: [0; 16],
        }
    }

    /// What is signed, with SHA-256 and RSASSA-PKCS1-v1_5.
    #[must_use]
    pub fn signed_bytes(&self) -> [u8; SIGNED_SIZE] {
        let structure = self.unsigned();
        let mut bytes = [0; SIGNED_SIZE];
        bytes[..MODULUS].copy_from_slice(&structure[..MODULUS]);
        bytes[MODULUS..].copy_from_slice(&structure[SIGNED_BODY..SIGNED_END]);
        bytes
    }

    /// The whole structure.
    #[must_use]
    pub fn assemble(&self, signature: &SigstructSignature) -> Sigstruct {
        let mut bytes = self.unsigned();
        bytes[MODULUS..EXPONENT].copy_from_slice(&signature.modulus);
        bytes[SIGNATURE..SIGNED_BODY].copy_from_slice(&signature.signature);
        bytes[Q1..Q2].copy_from_slice(&signature.q1);
        bytes[Q2..].copy_from_slice(&signature.q2);
        Sigstruct { bytes }
    }

    fn unsigned(&self) -> Box<[u8; SIGSTRUCT_SIZE]> {
        let mut bytes = Box::new([0; SIGSTRUCT_SIZE]);
        bytes[..16].copy_from_slice(&HEADER);
        bytes[20..24].copy_from_slice(&self.date.digits().to_le_bytes());
        bytes[24..40].copy_from_slice(&HEADER2);
        bytes[EXPONENT..SIGNATURE].copy_from_slice(&PUBLIC_EXPONENT.to_le_bytes());
        bytes[900..904].copy_from_slice(&self.misc_select.to_le_bytes());
        bytes[904..908].copy_from_slice(&self.misc_mask.to_le_bytes());
        bytes[912..928].copy_from_slice(&self.family);
        bytes[928..944].copy_from_slice(&self.attributes.encode());
        bytes[944..960].copy_from_slice(&self.attribute_mask.encode());
        bytes[960..992].copy_from_slice(&self.measurement);
        bytes[1008..1024].copy_from_slice(&self.extended_product);
        bytes[1024..1026].copy_from_slice(&self.product.to_le_bytes());
        bytes[1026..SIGNED_END].copy_from_slice(&self.security_version.to_le_bytes());
        bytes
    }
}

/// A signature over an [`EnclaveStatement`], and what the processor needs to check it
/// without dividing: for the signature `s` and the modulus `n`, `q1 = s² / n` and
/// `q2 = (s³ - q1·s·n) / n`, rounded down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigstructSignature {
    /// The signer's modulus.
    pub modulus: [u8; MODULUS_SIZE],
    /// The signature.
    pub signature: [u8; MODULUS_SIZE],
    /// The first quotient.
    pub q1: [u8; MODULUS_SIZE],
    /// The second quotient.
    pub q2: [u8; MODULUS_SIZE],
}

/// A whole SIGSTRUCT. Its signature was not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigstruct {
    bytes: Box<[u8; SIGSTRUCT_SIZE]>,
}

impl Sigstruct {
    /// Reads a SIGSTRUCT.
    ///
    /// # Errors
    ///
    /// [`SigstructError`] when it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, SigstructError> {
        let bytes: [u8; SIGSTRUCT_SIZE] = bytes
            .try_into()
            .map_err(|_| SigstructError::Size(bytes.len()))?;
        if bytes[..16] != HEADER || bytes[24..40] != HEADER2 {
            return Err(SigstructError::Header);
        }
        if bytes[EXPONENT..SIGNATURE] != PUBLIC_EXPONENT.to_le_bytes() {
            return Err(SigstructError::Exponent);
        }
        Ok(Self {
            bytes: Box::new(bytes),
        })
    }

    /// The structure as EINIT takes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGSTRUCT_SIZE] {
        &self.bytes
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// [`SigstructError::Date`] when the date is none.
    pub fn statement(&self) -> Result<EnclaveStatement, SigstructError> {
        Ok(EnclaveStatement {
            date: SigningDate::from_digits(u32::from_le_bytes(self.field(20)))?,
            measurement: self.field(960),
            attributes: self.attributes(928),
            attribute_mask: self.attributes(944),
            misc_select: u32::from_le_bytes(self.field(900)),
            misc_mask: u32::from_le_bytes(self.field(904)),
            product: u16::from_le_bytes(self.field(1024)),
            security_version: u16::from_le_bytes(self.field(1026)),
            extended_product: self.field(1008),
            family: self.field(912),
        })
    }

    /// The signer's modulus.
    #[must_use]
    pub fn modulus(&self) -> [u8; MODULUS_SIZE] {
        self.field(MODULUS)
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> [u8; MODULUS_SIZE] {
        self.field(SIGNATURE)
    }

    /// Who signed it.
    #[must_use]
    pub fn mr_signer(&self) -> MrSigner {
        mr_signer(&self.modulus())
    }

    fn attributes(&self, offset: usize) -> Attributes {
        Attributes {
            flags: u64::from_le_bytes(self.field(offset)),
            extended_features: u64::from_le_bytes(self.field(offset + 8)),
        }
    }

    fn field<const SIZE: usize>(&self, offset: usize) -> [u8; SIZE] {
        let mut field = [0; SIZE];
        field.copy_from_slice(&self.bytes[offset..offset + SIZE]);
        field
    }
}

/// The identity of the signer whose key has this modulus.
#[must_use]
pub fn mr_signer(modulus: &[u8; MODULUS_SIZE]) -> MrSigner {
    Sha256::digest(modulus).into()
}

/// The day on which an enclave was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SigningDate(u32);

impl SigningDate {
    /// The first of January 1970.
    pub const EPOCH: Self = Self(19_700_101);

    /// A day of the Gregorian calendar.
    ///
    /// # Errors
    ///
    /// [`SigstructError::Date`] for numbers that no day has.
    pub const fn new(year: u16, month: u8, day: u8) -> Result<Self, SigstructError> {
        if year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 {
            return Err(SigstructError::Date);
        }
        Ok(Self(year as u32 * 10_000 + month as u32 * 100 + day as u32))
    }

    /// The day of a time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`SigstructError::Date`] after the year 9999.
    pub fn of_unix_time(seconds: u64) -> Result<Self, SigstructError> {
        const SECONDS_PER_DAY: u64 = 86_400;
        const LONGEST_YEAR: u64 = 366;
        // Months count from March, so that the day by which leap years are longer is the last.
        const DAYS_FROM_MARCH_OF_YEAR_0_TO_1970: u64 = 719_468;
        const DAYS_PER_400_YEARS: u64 = 146_097;

        let days = seconds / SECONDS_PER_DAY;
        if days > 10_000 * LONGEST_YEAR {
            return Err(SigstructError::Date);
        }
        let days = days + DAYS_FROM_MARCH_OF_YEAR_0_TO_1970;
        let (era, day) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
        let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        match (year.try_into(), month.try_into(), day.try_into()) {
            (Ok(year), Ok(month), Ok(day)) => Self::new(year, month, day),
            _ => Err(SigstructError::Date),
        }
    }

    /// The decimal digits of yyyymmdd, four bits each.
    const fn digits(self) -> u32 {
        let (mut rest, mut digits, mut shift) = (self.0, 0, 0);
        while rest > 0 {
            digits |= (rest % 10) << shift;
            (rest, shift) = (rest / 10, shift + 4);
        }
        digits
    }

    const fn from_digits(digits: u32) -> Result<Self, SigstructError> {
        let (mut number, mut shift) = (0, 32);
        while shift > 0 {
            shift -= 4;
            let digit = digits >> shift & 0xf;
            if digit > 9 {
                return Err(SigstructError::Date);
            }
            number = number * 10 + digit;
        }
        Self::new(
            (number / 10_000) as u16,
            (number / 100 % 100) as u8,
            (number % 100) as u8,
        )
    }
}

/// Why something is no SIGSTRUCT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigstructError {
    /// Another number of bytes.
    #[error("a SIGSTRUCT has 1808 bytes, and not {0}")]
    Size(usize),
    /// It does not begin as one.
    #[error("not a SIGSTRUCT: its headers are others")]
    Header,
    /// Its key is of another kind.
    #[error("not a SIGSTRUCT: its public exponent is not 3")]
    Exponent,
    /// Its date is none.
    #[error("the date of the SIGSTRUCT is no date")]
    Date,
}

const HEADER: [u8; 16] = [6, 0, 0, 0, 0xE1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
const HEADER2: [u8; 16] = [1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0];
const PUBLIC_EXPONENT: u32 = 3;

const MODULUS: usize = 128;
const EXPONENT: usize = 512;
const SIGNATURE: usize = 516;
const SIGNED_BODY: usize = 900;
const SIGNED_END: usize = 1028;
const Q1: usize = 1040;
const Q2: usize = 1424;

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> EnclaveStatement {
        EnclaveStatement {
            product: 0x1234,
            security_version: 7,
            extended_product: [5; 16],
            family: [6; 16],
            ..EnclaveStatement::of_keep([9; 32], true, SigningDate::new(2026, 11, 25).unwrap())
        }
    }

    fn signature() -> SigstructSignature {
        SigstructSignature {
            modulus: [1; MODULUS_SIZE],
            signature: [2; MODULUS_SIZE],
            q1: [3; MODULUS_SIZE],
            q2: [4; MODULUS_SIZE],
        }
    }

    #[test]
    fn what_is_said_is_read_back() {
        let assembled = statement().assemble(&signature());
        let decoded = Sigstruct::decode(assembled.as_bytes()).unwrap();
        assert_eq!(decoded, assembled);
        assert_eq!(decoded.statement(), Ok(statement()));
        assert_eq!(decoded.modulus(), [1; MODULUS_SIZE]);
        assert_eq!(decoded.signature(), [2; MODULUS_SIZE]);
        assert_eq!(decoded.mr_signer(), mr_signer(&[1; MODULUS_SIZE]));
        assert_ne!(decoded.mr_signer(), mr_signer(&[2; MODULUS_SIZE]));
    }

    #[test]
    fn dates_are_decimal_digits() {
        let bytes = *statement().assemble(&signature()).as_bytes();
        assert_eq!(bytes[20..24], [0x25, 0x11, 0x26, 0x20]);
        let mut wrong = bytes;
        wrong[20] = 0x2A;
        let wrong = Sigstruct::decode(&wrong).unwrap();
        assert_eq!(wrong.statement(), Err(SigstructError::Date));
        for (year, month, day) in [(2026, 0, 1), (2026, 13, 1), (2026, 1, 0), (10_000, 1, 1)] {
            assert_eq!(
                SigningDate::new(year, month, day),
                Err(SigstructError::Date)
            );
        }
    }

    #[test]
    fn days_of_the_calendar() {
        for (seconds, year, month, day) in [
            (0, 1970, 1, 1),
            (86_399, 1970, 1, 1),
            (951_782_399, 2000, 2, 28),
            (951_782_400, 2000, 2, 29),
            (951_868_800, 2000, 3, 1),
            (1_709_164_800, 2024, 2, 29),
            (1_767_225_599, 2025, 12, 31),
            (4_107_542_400, 2100, 3, 1),
            (253_402_300_799, 9999, 12, 31),
        ] {
            assert_eq!(
                SigningDate::of_unix_time(seconds),
                SigningDate::new(year, month, day),
                "{seconds}"
            );
        }
        for seconds in [253_402_300_800, u64::MAX] {
            assert_eq!(
                SigningDate::of_unix_time(seconds),
                Err(SigstructError::Date)
            );
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = *statement().assemble(&signature()).as_bytes();
        assert_eq!(
            Sigstruct::decode(&bytes[1..]),
            Err(SigstructError::Size(1807))
        );
        let with = |offset: usize| {
            let mut bytes = bytes;
            bytes[offset] ^= 1;
            Sigstruct::decode(&bytes).map(drop)
        };
        assert_eq!(with(0), Err(SigstructError::Header));
        assert_eq!(with(39), Err(SigstructError::Header));
        assert_eq!(with(512), Err(SigstructError::Exponent));
        assert_eq!(with(600), Ok(()));
    }
}
