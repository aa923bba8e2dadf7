//! What the launcher tells a machine's process to make.

use enarx_wire_launch::{
    LaunchPage, LaunchPageError, PAGE_SIZE, SnpIdentityError, SnpSignedIdentity,
};

/// A machine that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// The launch page, which says for what platform and with how much memory.
    pub page: LaunchPage,
    /// Whether its TEE is the processor's; otherwise the host plays it, if there is one.
    pub hardware: bool,
    /// Whether the Keep may use the host's network.
    pub network: bool,
    /// What evidence says that the host said.
    pub host_data: [u8; 32],
    /// Who vouches for what a SEV-SNP machine measures, if anybody does.
    pub identity: Option<SnpSignedIdentity>,
}

impl Order {
    /// Bytes of an encoded order.
    pub(super) const SIZE: usize = IDENTITY + SnpSignedIdentity::SIZE;

    /// The order in bytes.
    pub(super) fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..PAGE_SIZE].copy_from_slice(&self.page.encode());
        bytes[HARDWARE] = self.hardware.into();
        bytes[NETWORK] = self.network.into();
        bytes[HOST_DATA..IDENTITY].copy_from_slice(&self.host_data);
        if let Some(identity) = &self.identity {
            bytes[HAS_IDENTITY] = 1;
            bytes[IDENTITY..].copy_from_slice(&identity.encode());
        }
        bytes
    }

    /// Reads an order.
    ///
    /// # Errors
    ///
    /// [`OrderError`] for what is none.
    pub(super) fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, OrderError> {
        let page = LaunchPage::decode(&bytes[..PAGE_SIZE])?;
        let mut host_data = [0; 32];
        host_data.copy_from_slice(&bytes[HOST_DATA..IDENTITY]);
        let identity = match bytes[HAS_IDENTITY] {
            0 => None,
            _ => Some(SnpSignedIdentity::decode(&bytes[IDENTITY..])?),
        };
        Ok(Self {
            page,
            hardware: bytes[HARDWARE] != 0,
            network: bytes[NETWORK] != 0,
            host_data,
            identity,
        })
    }
}

/// What is wrong with an order.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// Its launch page is none.
    #[error("{0}")]
    Page(#[from] LaunchPageError),
    /// Its identity is none.
    #[error("{0}")]
    Identity(#[from] SnpIdentityError),
}

const HARDWARE: usize = PAGE_SIZE;
const NETWORK: usize = HARDWARE + 1;
const HAS_IDENTITY: usize = NETWORK + 1;
const HOST_DATA: usize = HAS_IDENTITY + 1;
const IDENTITY: usize = HOST_DATA + 32;

#[cfg(test)]
mod tests {
    use enarx_wire_launch::{EvidenceFormat, MemoryStrategy, Platform, SnpIdentity};

    use super::*;
    use crate::snp::IdentityKey;

    #[test]
    fn orders_survive_the_stream() {
        let identity = SnpIdentity {
            measurement: [1; 48],
            family: [2; 16],
            image: [3; 16],
            security_version: 4,
            policy: 5,
        };
        let signed = IdentityKey::generate()
            .unwrap()
            .sign(&identity, None)
            .unwrap();
        let order = |hardware, identity| Order {
            page: LaunchPage {
                platform: Platform::Snp,
                evidence: EvidenceFormat::SnpReport,
                memory: MemoryStrategy::GuardPages,
                memory_bytes: 1 << 30,
                runtime_digest: [6; 48],
            },
            hardware,
            network: !hardware,
            host_data: [7; 32],
            identity,
        };
        for order in [order(false, None), order(true, Some(signed))] {
            assert_eq!(Order::decode(&order.encode()).unwrap(), order);
        }
        let mut damaged = order(true, Some(signed)).encode();
        damaged[IDENTITY + 0x50] = 9;
        assert!(matches!(
            Order::decode(&damaged),
            Err(OrderError::Identity(_))
        ));
        assert!(matches!(
            Order::decode(&[0; Order::SIZE]),
            Err(OrderError::Page(_))
        ));
    }
}
