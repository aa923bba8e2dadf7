//! TPM quotes.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};

use crate::bytes::{Bytes, Truncated};

use super::{Error, error::in_the};

/// Largest message looked at; real ones have some 130 bytes.
const MAX_MESSAGE_BYTES: usize = 4096;
/// `TPM_GENERATED_VALUE`, which a TPM puts into nothing else that it signs.
const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: u16 = 0x8018;
/// `TPM_ALG_SHA256`.
const SHA256_BANK: u16 = 0x000b;
/// Registers of a bank.
const REGISTERS: usize = 24;

/// What a TPM quoted (TPM 2.0 Library, Part 2, `TPMS_ATTEST` with `TPMS_QUOTE_INFO`).
#[derive(Debug, Clone)]
pub(super) struct TpmQuote {
    message: Vec<u8>,
    signature: Vec<u8>,
    /// The nonce of whoever asked.
    pub(super) nonce: Vec<u8>,
    selection: [u8; REGISTERS / 8],
    register_digest: Vec<u8>,
}

impl TpmQuote {
    pub(super) fn parse(message: Vec<u8>, signature: Vec<u8>) -> Result<Self, Error> {
        const NAME: &str = "TPM quote";
        if message.len() > MAX_MESSAGE_BYTES || signature.len() > MAX_MESSAGE_BYTES {
            return Err(Error::TooLarge);
        }
        let mut bytes = Bytes(&message);
        let mut read = || -> Result<_, Truncated> {
            let generated = bytes.array().map(u32::from_be_bytes)?;
            let kind = bytes.array().map(u16::from_be_bytes)?;
            sized(&mut bytes)?;
            let nonce = sized(&mut bytes)?.to_vec();
            // Clock and firmware version.
            bytes.take(17 + 8)?;
            let banks = bytes.array().map(u32::from_be_bytes)?;
            let bank = bytes.array().map(u16::from_be_bytes)?;
            let [selected] = bytes.array()?;
            let selection = bytes.array()?;
            let register_digest = sized(&mut bytes)?.to_vec();
            let form = (generated, kind, banks, bank, selected, bytes.is_empty());
            Ok((form, nonce, selection, register_digest))
        };
        let (form, nonce, selection, register_digest) = read().map_err(in_the(NAME))?;
        if form != (GENERATED, QUOTE, 1, SHA256_BANK, 3, true) {
            return Err(Error::Malformed(NAME));
        }
        Ok(Self {
            nonce,
            selection,
            register_digest,
            message,
            signature,
        })
    }

    /// Checks that `key` signed the quote, and that `registers`, all of the bank, are those
    /// that were quoted.
    pub(super) fn check(
        &self,
        key: &RsaPublicKeyComponents<Vec<u8>>,
        registers: &[[u8; 32]],
    ) -> Result<(), Error> {
        key.verify(&RSA_PKCS1_2048_8192_SHA256, &self.message, &self.signature)
            .map_err(|_| Error::Signature)?;
        if registers.len() != REGISTERS {
            return Err(Error::Registers);
        }
        let selected = registers.iter().enumerate();
        let selected = selected.filter(|(number, _)| self.covers(*number));
        let values: Vec<u8> = selected.flat_map(|(_, value)| *value).collect();
        if digest(&SHA256, &values).as_ref() == self.register_digest {
            Ok(())
        } else {
            Err(Error::Registers)
        }
    }

    /// Whether the quote covers the register.
    pub(super) fn covers(&self, number: usize) -> bool {
        let byte = self.selection.get(number / 8);
        byte.is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }
}

/// Bytes with their number in front, big-endian in 16 bits (`TPM2B`).
fn sized<'a>(bytes: &mut Bytes<'a>) -> Result<&'a [u8], Truncated> {
    let length = bytes.array().map(u16::from_be_bytes)?;
    bytes.take(length.into())
}
