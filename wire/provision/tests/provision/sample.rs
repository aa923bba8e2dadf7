//! A Keep and an owner whose randomness is fixed.

use std::convert::Infallible;

use enarx_wire_provision::*;
use enarx_wire_target::{CompileTarget, MemoryStrategy};
use rand_core::{TryCryptoRng, TryRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

/// A stream that the protocol document defines for test vectors: the SHA-512 of
/// (seed, 0, block number as u64 big-endian), block after block.
pub struct TestRandom {
    seed: &'static str,
    block: u64,
    rest: Vec<u8>,
}

impl TestRandom {
    pub fn new(seed: &'static str) -> Self {
        Self {
            seed,
            block: 0,
            rest: Vec::new(),
        }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let Ok(()) = self.try_fill_bytes(&mut bytes);
        bytes
    }
}

impl TryRng for TestRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            if self.rest.is_empty() {
                self.rest = Sha512::new()
                    .chain_update(self.seed)
                    .chain_update([0])
                    .chain_update(self.block.to_be_bytes())
                    .finalize()
                    .to_vec();
                self.rest.reverse();
                self.block += 1;
            }
            *byte = self.rest.pop().unwrap();
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRandom {}

pub fn description() -> KeepDescription {
    KeepDescription {
        platform: "process".into(),
        evidence: "snp-report".into(),
        runtime: [0xd1; 48],
        memory_bytes: 256 << 20,
        target: CompileTarget::new(
            "48.0.8",
            "x86_64-unknown-linux-gnu",
            ["has_sse41".to_owned(), "has_avx2".to_owned()],
            MemoryStrategy::GuardPages,
        )
        .unwrap(),
    }
}

pub fn challenge() -> Challenge {
    Challenge::new(&mut TestRandom::new("owner"))
}

/// A Keep that answered `nonce`, with keys from `seed`. Its evidence is its report
/// data and nothing else.
pub fn keep(seed: &'static str, nonce: Nonce) -> KeepOffer {
    let keys = SingleUseKeys::generate(&mut TestRandom::new(seed));
    let attester = Attester::new(description(), nonce, keys).unwrap();
    let evidence = attester.report_data().to_vec();
    attester.offer(evidence)
}

/// The Keep that answered [`challenge`].
pub fn answering_keep() -> KeepOffer {
    keep("keep", *challenge().nonce())
}

pub fn offer() -> Vec<u8> {
    answering_keep().encode().unwrap()
}

pub fn grant() -> Grant {
    Grant {
        content_key: Zeroizing::new([0xc0; 32]),
        manifest_digest: [0xda; 48],
        time_floor: 1_893_456_000,
        application_secret: Some(owner_secret().application(NAME)),
    }
}

pub fn owner_secret() -> OwnerSecret {
    OwnerSecret::new(TestRandom::new("owner secret").bytes())
}

/// The name of the granted application.
pub const NAME: &str = "hello-1.wasm";

/// Seals [`grant`] to what `offer` says.
pub fn seal(offer: &[u8], suite: Suite) -> (Vec<u8>, SessionSecret) {
    challenge()
        .answered(offer)
        .unwrap()
        .seal(Some(suite), &grant(), &mut TestRandom::new("seal"))
        .unwrap()
}

/// An offer with other claims inside.
pub fn with_claims(offer: &[u8], change: impl FnOnce(&mut Claims)) -> Vec<u8> {
    let mut offer: Offer = enarx_wire_cbor::from_slice(offer, MAX_OFFER_SIZE).unwrap();
    let mut claims: Claims = enarx_wire_cbor::from_slice(&offer.claims, MAX_OFFER_SIZE).unwrap();
    change(&mut claims);
    offer.claims = enarx_wire_cbor::to_vec(&claims).unwrap();
    enarx_wire_cbor::to_vec(&offer).unwrap()
}

/// A sealed grant, taken apart. The fields stand in another order than their
/// deterministic encoding has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sealed {
    pub version: u32,
    pub suite: String,
    #[serde(with = "serde_bytes")]
    pub encapsulated: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    pub fn decode(bytes: &[u8]) -> Self {
        enarx_wire_cbor::from_slice(bytes, MAX_GRANT_SIZE).unwrap()
    }

    pub fn encode(&self) -> Vec<u8> {
        enarx_wire_cbor::to_vec(self).unwrap()
    }
}
