//! TCB versions.

use core::fmt;

use super::{Product, ReportError};

/// The eight bytes of a `TCB_VERSION` as a report holds them; which byte is what
/// depends on the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcbVersion(pub [u8; 8]);

impl TcbVersion {
    /// The security versions in it (AMD #56860, structure of `TCB_VERSION`).
    ///
    /// `offset` says where the field stands in the report, for the error.
    ///
    /// # Errors
    ///
    /// [`ReportError::Reserved`] when a reserved byte is not zero.
    pub fn decode(self, product: Product, offset: usize) -> Result<Tcb, ReportError> {
        match (product, self.0) {
            (Product::Milan | Product::Genoa, [bootloader, tee, 0, 0, 0, 0, snp, microcode]) => {
                Ok(Tcb {
                    fmc: None,
                    bootloader,
                    tee,
                    snp,
                    microcode,
                })
            }
            (Product::Turin, [fmc, bootloader, tee, snp, 0, 0, 0, microcode]) => Ok(Tcb {
                fmc: Some(fmc),
                bootloader,
                tee,
                snp,
                microcode,
            }),
            _ => Err(ReportError::Reserved { offset }),
        }
    }
}

/// The security versions of a platform's trusted computing base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcb {
    /// Firmware of the microcontroller; from Turin on.
    pub fmc: Option<u8>,
    /// Boot loader of the secure processor.
    pub bootloader: u8,
    /// Operating system of the secure processor.
    pub tee: u8,
    /// SEV-SNP firmware.
    pub snp: u8,
    /// Lowest microcode patch level of all cores.
    pub microcode: u8,
}

impl fmt::Display for Tcb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(formatter, "fmc {fmc}, ")?;
        }
        write!(
            formatter,
            "bootloader {}, tee {}, snp {}, microcode {}",
            self.bootloader, self.tee, self.snp, self.microcode
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_follows_the_product() {
        let milan = TcbVersion([3, 1, 0, 0, 0, 0, 8, 115]);
        assert_eq!(
            milan.decode(Product::Milan, 0).map(|tcb| tcb.to_string()),
            Ok("bootloader 3, tee 1, snp 8, microcode 115".to_owned())
        );
        assert_eq!(
            milan.decode(Product::Turin, 0x180),
            Err(ReportError::Reserved { offset: 0x180 })
        );
        let turin = TcbVersion([1, 2, 3, 4, 0, 0, 0, 71]);
        assert_eq!(
            turin.decode(Product::Turin, 0).map(|tcb| tcb.to_string()),
            Ok("fmc 1, bootloader 2, tee 3, snp 4, microcode 71".to_owned())
        );
        assert!(turin.decode(Product::Genoa, 0).is_err());
    }
}
