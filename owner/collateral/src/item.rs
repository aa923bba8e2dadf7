//! The vendors' documents and where their services have them.

use enarx_owner_evidence::snp::{Product, Tcb};

use crate::Source;

/// A document of a vendor's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A chip's endorsement certificate, DER (AMD #57230, VCEK).
    Vcek {
        /// Product line of the chip.
        product: Product,
        /// The chip's identity as the report has it; Turin uses its first 8 bytes.
        chip_id: [u8; 64],
        /// Versions that the key was derived for.
        tcb: Tcb,
    },
    /// The certificates above VCEKs, PEM.
    VcekChain(Product),
    /// The certificates above VLEKs, PEM.
    VlekChain(Product),
    /// AMD's revocation list, DER.
    AmdCrl(Product),
    /// TCB levels of a processor family, JSON (Intel PCS version 4).
    TcbInfo {
        /// Whether for SGX or TDX.
        tee: Tee,
        /// Family, model, stepping, platform, and custom SKU.
        fmspc: [u8; 6],
    },
    /// Identity of the quoting enclave, JSON.
    QeIdentity(Tee),
    /// Revocation list of one of Intel's PCK authorities, DER.
    PckCrl(Authority),
    /// Revocation list of Intel's root, DER.
    IntelRootCrl,
}

/// A technology of Intel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tee {
    /// Software Guard Extensions.
    Sgx,
    /// Trust Domain Extensions.
    Tdx,
}

impl Tee {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
        }
    }
}

/// An issuer of Intel's PCK certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// For single-socket platforms.
    Processor,
    /// For platforms with several sockets.
    Platform,
}

impl Authority {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }
}

impl Item {
    /// Path and query at the vendor's service.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Vcek {
                product,
                chip_id,
                tcb,
            } => {
                let chip: String = hex::encode(chip_id)
                    .chars()
                    .take(2 * product.chip_id_bytes())
                    .collect();
                let fmc = tcb
                    .fmc
                    .map(|fmc| format!("fmcSPL={fmc:02}&"))
                    .unwrap_or_default();
                format!(
                    "/vcek/v1/{product}/{chip}?{fmc}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
                    tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
                )
            }
            Self::VcekChain(product) => format!("/vcek/v1/{product}/cert_chain"),
            Self::VlekChain(product) => format!("/vlek/v1/{product}/cert_chain"),
            Self::AmdCrl(product) => format!("/vcek/v1/{product}/crl"),
            Self::TcbInfo { tee, fmspc } => format!(
                "/{}/certification/v4/tcb?fmspc={}",
                tee.as_str(),
                hex::encode_upper(fmspc)
            ),
            Self::QeIdentity(tee) => format!("/{}/certification/v4/qe/identity", tee.as_str()),
            Self::PckCrl(authority) => format!(
                "/sgx/certification/v4/pckcrl?ca={}&encoding=der",
                authority.as_str()
            ),
            Self::IntelRootCrl => "/IntelSGXRootCA.der".to_owned(),
        }
    }

    /// Name in a [`crate::Store`]: letters, digits, `-` and `_`, at most 255 bytes.
    #[must_use]
    pub fn key(&self) -> String {
        let name = |letter: char| {
            if letter.is_ascii_alphanumeric() || letter == '_' {
                letter
            } else {
                '-'
            }
        };
        self.path()
            .trim_start_matches('/')
            .chars()
            .map(name)
            .collect()
    }

    /// The base URL at which `source` has it.
    #[must_use]
    pub fn base<'s>(&self, source: &'s Source) -> &'s str {
        match self {
            Self::Vcek { .. } | Self::VcekChain(_) | Self::VlekChain(_) | Self::AmdCrl(_) => {
                &source.amd
            }
            Self::TcbInfo { .. } | Self::QeIdentity(_) | Self::PckCrl(_) => &source.intel,
            Self::IntelRootCrl => &source.intel_root,
        }
    }

    /// The header in which Intel's service sends the issuer chain, URL-encoded PEM.
    #[must_use]
    pub const fn chain_header(&self) -> Option<&'static str> {
        match self {
            Self::TcbInfo { .. } => Some("TCB-Info-Issuer-Chain"),
            Self::QeIdentity(_) => Some("SGX-Enclave-Identity-Issuer-Chain"),
            Self::PckCrl(_) => Some("SGX-PCK-CRL-Issuer-Chain"),
            _ => None,
        }
    }
}
