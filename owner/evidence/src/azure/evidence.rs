//! The evidence as agents in the guest write it down.

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Unexpected, Visitor},
};

use crate::{Step, text};

use super::{Error, hcl::HclReport, quote::TpmQuote};

/// Largest document looked at.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// Most registers read.
const MAX_REGISTERS: usize = 32;

/// Evidence from behind a virtual TPM, read but not verified.
#[derive(Debug, Clone)]
pub struct Evidence {
    report: HclReport,
    quote: TpmQuote,
    registers: Vec<[u8; 32]>,
    vcek: Option<Vec<u8>>,
    td_quote: Option<Vec<u8>>,
}

/// The hardware's part, to be verified like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware<'a> {
    /// An SEV-SNP report, with the certificate of its key where the evidence brings it: in
    /// DER or PEM.
    Snp {
        /// The report.
        report: &'a [u8],
        /// The certificate.
        vcek: Option<&'a [u8]>,
    },
    /// A TDX quote.
    Tdx {
        /// The quote.
        quote: &'a [u8],
    },
}

/// A virtual TPM whose key the hardware vouches for, if the hardware's report is genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualTpm {
    nonce: Vec<u8>,
    registers: Vec<(usize, [u8; 32])>,
}

impl Evidence {
    /// Reads the JSON that agents for Azure's confidential VMs write: with arrays of numbers
    /// (version 0), or with hexadecimal and base64 (version 1).
    ///
    /// # Errors
    ///
    /// The first thing that is not as expected.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::TooLarge);
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|error| Error::Json(error.to_string()))?;
        let quote = document.tpm_quote;
        let evidence = Self {
            report: HclReport::parse(&document.hcl_report.0)?,
            quote: TpmQuote::parse(quote.message.0, quote.signature.0)?,
            registers: quote.pcrs.0,
            vcek: document.vcek.as_deref().map(certificate),
            td_quote: document.td_quote.map(|quote| quote.0),
        };
        if !evidence.report.is_snp && evidence.td_quote.is_none() {
            return Err(Error::Field("td_quote"));
        }
        Ok(evidence)
    }

    /// The hardware's part.
    #[must_use]
    pub fn hardware(&self) -> Hardware<'_> {
        match &self.td_quote {
            Some(quote) if !self.report.is_snp => Hardware::Tdx { quote },
            _ => Hardware::Snp {
                report: &self.report.hardware,
                vcek: self.vcek.as_deref(),
            },
        }
    }

    /// Checks that a hardware report with this `report_data` vouches for the TPM, and that
    /// the TPM made the quote.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn check(&self, report_data: &[u8]) -> Result<VirtualTpm, Error> {
        self.report.check(report_data)?;
        self.quote.check(self.report.key(), &self.registers)?;
        let registers = self.registers.iter().copied().enumerate();
        let registers = registers.filter(|(number, _)| self.quote.covers(*number));
        Ok(VirtualTpm {
            nonce: self.quote.nonce.clone(),
            registers: registers.collect(),
        })
    }

    /// The nonce that the TPM quote claims to be for.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.quote.nonce
    }
}

impl VirtualTpm {
    /// The nonce that the quote was made for.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The registers that were quoted, with their numbers; SHA-256.
    #[must_use]
    pub fn registers(&self) -> &[(usize, [u8; 32])] {
        &self.registers
    }

    /// What checking established.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        vec![
            Step {
                name: "runtime data",
                found: "bound by the hardware's report data, with the TPM's key".to_owned(),
                source: "Azure confidential VM guest attestation design, HCL report",
            },
            Step {
                name: "TPM quote",
                found: format!(
                    "signed by that key over {} registers, for nonce {}",
                    self.registers.len(),
                    hex::encode(&self.nonce)
                ),
                source: "TPM 2.0 Library, Part 2, TPMS_ATTEST",
            },
        ]
    }
}

/// The evidence as agents write it, under present and older names.
#[derive(Deserialize)]
struct Document {
    #[serde(alias = "report")]
    hcl_report: Octets,
    #[serde(alias = "quote")]
    tpm_quote: QuoteDocument,
    vcek: Option<String>,
    td_quote: Option<Octets>,
}

#[derive(Deserialize)]
struct QuoteDocument {
    message: Octets,
    signature: Octets,
    pcrs: Registers,
}

/// Bytes as an array of numbers, in hexadecimal, or in base64 of either alphabet.
struct Octets(Vec<u8>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Octets;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes in hexadecimal, in base64, or as a list of numbers")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Octets, E> {
                text::octets(text)
                    .map(Octets)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str("other text"), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Octets, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element()? {
                    bytes.push(byte);
                }
                Ok(Octets(bytes))
            }
        }

        deserializer.deserialize_any(Expected)
    }
}

/// SHA-256 registers, in order.
struct Registers(Vec<[u8; 32]>);

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Registers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "at most {MAX_REGISTERS} registers of 32 bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Registers, A::Error> {
                let mut registers = Vec::new();
                while let Some(Octets(bytes)) = list.next_element()? {
                    let length = bytes.len();
                    let register = bytes.try_into();
                    registers.push(register.map_err(|_| de::Error::invalid_length(length, &self))?);
                    if registers.len() > MAX_REGISTERS {
                        return Err(de::Error::invalid_length(registers.len(), &self));
                    }
                }
                Ok(Registers(registers))
            }
        }

        deserializer.deserialize_seq(Expected)
    }
}

/// In PEM as it stands, or DER in base64.
fn certificate(text: &str) -> Vec<u8> {
    text::base64(text).unwrap_or_else(|| text.as_bytes().to_vec())
}
