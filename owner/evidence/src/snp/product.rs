//! Processor products.

use core::fmt;

use super::ReportError;

/// A product line of processors, each with its own AMD root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// 3rd generation EPYC.
    Milan,
    /// 4th generation EPYC; Bergamo and Siena share its keys.
    Genoa,
    /// 5th generation EPYC.
    Turin,
}

impl Product {
    /// The name as AMD spells it in certificates and addresses (AMD #57230).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The product of a certificate's product name, which may have a stepping behind a
    /// hyphen (`Milan-B0`), and be one that shares another's keys.
    #[must_use]
    pub fn from_certificate_name(name: &str) -> Option<Self> {
        match name.split_once('-').map_or(name, |(line, _stepping)| line) {
            "Milan" => Some(Self::Milan),
            "Genoa" | "Bergamo" | "Siena" => Some(Self::Genoa),
            "Turin" => Some(Self::Turin),
            _ => None,
        }
    }

    /// The number of bytes of a chip identity that mean something; the others are zero
    /// (AMD #57230, description of the `hwID` extension).
    #[must_use]
    pub const fn chip_id_bytes(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A processor as CPUID function 1 describes it, extended family and model combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuIdentity {
    /// Family, such as 0x19.
    pub family: u8,
    /// Model, such as 0x01.
    pub model: u8,
    /// Stepping.
    pub stepping: u8,
}

impl CpuIdentity {
    /// The product that this processor belongs to.
    ///
    /// # Errors
    ///
    /// [`ReportError::Processor`] when it is none that is known here.
    pub fn product(self) -> Result<Product, ReportError> {
        match (self.family, self.model) {
            (0x19, 0x00..=0x0f) => Ok(Product::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Ok(Product::Genoa),
            (0x1a, 0x00..=0x11) => Ok(Product::Turin),
            (family, model) => Err(ReportError::Processor { family, model }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_names_may_carry_a_stepping() {
        let name = Product::from_certificate_name;
        assert_eq!(name("Milan-B0"), Some(Product::Milan));
        for line in ["Genoa", "Genoa-B1", "Bergamo-A1", "Siena"] {
            assert_eq!(name(line), Some(Product::Genoa));
        }
        assert_eq!(name("Turin"), Some(Product::Turin));
        assert_eq!(name("Milano"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn processors_map_to_products() {
        let product = |family, model| {
            CpuIdentity {
                family,
                model,
                stepping: 1,
            }
            .product()
        };
        assert_eq!(product(0x19, 0x01), Ok(Product::Milan));
        assert_eq!(product(0x19, 0x11), Ok(Product::Genoa));
        assert_eq!(product(0x19, 0xa0), Ok(Product::Genoa));
        assert_eq!(product(0x1a, 0x02), Ok(Product::Turin));
        assert_eq!(
            product(0x17, 0x31),
            Err(ReportError::Processor {
                family: 0x17,
                model: 0x31
            })
        );
    }
}
