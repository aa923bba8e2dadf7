//! Trustworthiness claims, tiers and vectors (draft-ietf-rats-ar4si sections 3.1 and 3.2).

use serde::{Deserialize, Serialize};

/// How far an attester, or one aspect of it, can be trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Nothing is said.
    #[default]
    None,
    /// Nothing speaks against trust.
    Affirming,
    /// Something does not look right.
    Warning,
    /// The attester must not be trusted.
    Contraindicated,
}

/// One trustworthiness claim. 0 makes no claim; the tier follows from the number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustClaim(pub i8);

/// The eight claims about an attester.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct TrustVector {
    /// Whether it is an attester that the verifier knows.
    pub instance_identity: TrustClaim,
    /// Whether it is configured safely.
    pub configuration: TrustClaim,
    /// Whether the right programs run in it.
    pub executables: TrustClaim,
    /// Whether it has the right files.
    pub file_system: TrustClaim,
    /// Whether its hardware and firmware are genuine and safe.
    pub hardware: TrustClaim,
    /// Whether its memory is hidden from the outside.
    pub runtime_opaque: TrustClaim,
    /// Whether its stored data are encrypted.
    pub storage_opaque: TrustClaim,
    /// Whether the data that it works on are trusted.
    pub sourced_data: TrustClaim,
}

impl Tier {
    /// Every tier, the most trusted first. Saying nothing is worth less than affirming,
    /// and more than a warning.
    const FROM_BEST: [Self; 4] = [
        Self::Affirming,
        Self::None,
        Self::Warning,
        Self::Contraindicated,
    ];

    /// The number of the tier in CBOR.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Affirming => 2,
            Self::Warning => 32,
            Self::Contraindicated => 96,
        }
    }

    /// The tier with a number in CBOR.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let mut tiers = Self::FROM_BEST.into_iter();
        tiers.find(|tier| u64::from(tier.number()) == number)
    }

    /// `none`, `affirming`, `warning` or `contraindicated`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Affirming => "affirming",
            Self::Warning => "warning",
            Self::Contraindicated => "contraindicated",
        }
    }

    /// The less trusted of both.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if self.distrust() >= other.distrust() {
            self
        } else {
            other
        }
    }

    fn distrust(self) -> Option<usize> {
        Self::FROM_BEST.iter().position(|tier| *tier == self)
    }
}

/// Values of draft-ietf-rats-ar4si section 3.1 that an appraisal of a Keep can come to.
impl TrustClaim {
    /// No claim is made.
    pub const NONE: Self = Self(0);
    /// Any category: the verifier could not tell because it failed.
    pub const VERIFIER_MALFUNCTION: Self = Self(-1);
    /// Any category: the evidence held something unexpected.
    pub const UNEXPECTED_EVIDENCE: Self = Self(1);
    /// Any category: a signature did not verify.
    pub const CRYPTOGRAPHY_FAILED: Self = Self(99);
    /// Any category: the best that can be said: known, approved, genuine or encrypted.
    pub const AFFIRMED: Self = Self(2);
    /// Configuration, executables, hardware: known vulnerabilities.
    pub const UNSAFE: Self = Self(32);
    /// Executables: not recognized.
    pub const UNRECOGNIZED_RUNTIME: Self = Self(33);
    /// Any category: the worst that can be said of what is known: not to be trusted or used.
    pub const CONTRAINDICATED: Self = Self(96);
    /// Instance identity and hardware: not recognized.
    pub const UNRECOGNIZED: Self = Self(97);

    /// The tier that the number belongs to.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self.0 {
            -1..=1 => Tier::None,
            2..=31 | -32..=-2 => Tier::Affirming,
            32..=95 | -96..=-33 => Tier::Warning,
            96..=127 | -128..=-97 => Tier::Contraindicated,
        }
    }
}

impl TrustVector {
    /// The claims in the order of their numbers in CBOR, from 0.
    #[must_use]
    pub const fn claims(&self) -> [TrustClaim; 8] {
        [
            self.instance_identity,
            self.configuration,
            self.executables,
            self.file_system,
            self.hardware,
            self.runtime_opaque,
            self.storage_opaque,
            self.sourced_data,
        ]
    }

    /// The vector with these claims, in the order of [`claims`](Self::claims).
    #[must_use]
    pub const fn from_claims(claims: [TrustClaim; 8]) -> Self {
        let [
            instance_identity,
            configuration,
            executables,
            file_system,
            hardware,
            runtime_opaque,
            storage_opaque,
            sourced_data,
        ] = claims;
        Self {
            instance_identity,
            configuration,
            executables,
            file_system,
            hardware,
            runtime_opaque,
            storage_opaque,
            sourced_data,
        }
    }

    /// The worst tier of the claims that are made; none if none is made.
    #[must_use]
    pub fn tier(&self) -> Tier {
        let claims = self.claims().into_iter();
        let made = claims.filter(|claim| *claim != TrustClaim::NONE);
        made.map(TrustClaim::tier)
            .reduce(Tier::worse)
            .unwrap_or(Tier::None)
    }
}
