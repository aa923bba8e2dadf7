//! A Keep and an owner without randomness, for targets that need a conversation.

use std::convert::Infallible;

use enarx_wire_provision::{Attester, KeepDescription, KeepOffer, SingleUseKeys};
use enarx_wire_target::{CompileTarget, MemoryStrategy};
use rand_core::{TryCryptoRng, TryRng};

/// The same byte for ever.
pub struct Fixed(pub u8);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// A Keep that answered `nonce`.
#[allow(
    dead_code,
    reason = "not every target that has a conversation has a Keep"
)]
pub fn keep(nonce: [u8; 32]) -> KeepOffer {
    let target = CompileTarget::new("1", "triple", [], MemoryStrategy::Bounded).unwrap();
    let description = KeepDescription {
        platform: "process".into(),
        evidence: "snp-report".into(),
        runtime: [1; 48],
        memory_bytes: 1 << 30,
        target,
    };
    Attester::new(description, nonce, SingleUseKeys::generate(&mut Fixed(3)))
        .unwrap()
        .offer(vec![4; 64])
}
