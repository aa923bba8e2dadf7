//! Reference values as plain data.

/// What one measurement of one environment must be: everything that is given must match
/// (draft-ietf-rats-corim, `reference-triple-record` and `measurement-map`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferenceValue {
    /// What is measured.
    pub environment: Environment,
    /// Which of its measurements.
    pub key: Option<MeasurementKey>,
    /// The name of what is measured.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its security version.
    pub security_version: Option<SecurityVersion>,
    /// Its digest, by one or more algorithms.
    pub digests: Vec<Digest>,
    /// Its modes of operation.
    pub flags: Flags,
    /// Its bytes.
    pub raw_value: Option<RawValue>,
}

/// A class of attesters, an instance, or a group (`environment-map`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The class.
    pub class_id: Option<Identifier>,
    /// The class's vendor.
    pub vendor: Option<String>,
    /// The class's product.
    pub model: Option<String>,
    /// The class's layer, a number.
    pub layer: Option<u64>,
    /// Which of several alike.
    pub index: Option<u64>,
    /// The instance.
    pub instance: Option<Identifier>,
    /// The group.
    pub group: Option<Identifier>,
}

/// What a manifest follows beside the draft (`$profile-type-choice`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// Named by a URI, tag 32.
    Uri(String),
    /// Named by an object identifier: the content of its DER (RFC 9090), tag 111.
    Oid(Vec<u8>),
}

/// What identifies a class, an instance or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    /// An object identifier: the content of its DER (RFC 9090), tag 111.
    Oid(Vec<u8>),
    /// A UUID, tag 37.
    Uuid([u8; 16]),
    /// A universal entity identifier of 7 to 33 bytes, tag 550.
    Ueid(Vec<u8>),
    /// Bytes, tag 560.
    Bytes(Vec<u8>),
}

/// Which measurement of an environment it is (`$measured-element-type-choice`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeasurementKey {
    /// An object identifier: the content of its DER (RFC 9090).
    Oid(Vec<u8>),
    /// A UUID.
    Uuid([u8; 16]),
    /// A number, such as that of a register.
    Number(u64),
    /// A name.
    Text(String),
}

/// A security version (`svn-type-choice`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityVersion {
    /// This one, tag 552 or none.
    Exact(u64),
    /// This one or greater, tag 553.
    Minimum(u64),
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its algorithm.
    pub algorithm: DigestAlgorithm,
    /// As many bytes as the algorithm gives.
    pub bytes: Vec<u8>,
}

/// A digest algorithm of the registry of Named Information Hash Algorithms (RFC 6920).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Modes of operation; none means that it does not matter (`flags-map`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// Set up for use.
    pub configured: Option<bool>,
    /// Securely set up.
    pub secure: Option<bool>,
    /// Recovering.
    pub recovery: Option<bool>,
    /// Can be debugged.
    pub debug: Option<bool>,
    /// Protected against replay.
    pub replay_protected: Option<bool>,
    /// Protected against change.
    pub integrity_protected: Option<bool>,
}

/// Bytes, of which those bits count that are set in the mask (tags 560 and 563).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawValue {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// As many bytes as there are, if not all bits count.
    pub mask: Option<Vec<u8>>,
}

impl ReferenceValue {
    /// The launch measurement of a Keep on `platform`; `description` says of which image
    /// with how much memory.
    #[must_use]
    pub fn of_keep(platform: &str, measurement: Digest, description: &str) -> Self {
        Self {
            environment: Environment {
                vendor: Some("Enarx".to_owned()),
                model: Some(format!("Keep on {platform}")),
                ..Environment::default()
            },
            key: Some(MeasurementKey::Text(super::LAUNCH_MEASUREMENT.to_owned())),
            name: Some(description.to_owned()),
            digests: vec![measurement],
            ..Self::default()
        }
    }
}

impl Flags {
    /// The flags in the order of their numbers in CBOR, from 0.
    #[must_use]
    pub const fn by_number(&self) -> [Option<bool>; 6] {
        [
            self.configured,
            self.secure,
            self.recovery,
            self.debug,
            self.replay_protected,
            self.integrity_protected,
        ]
    }

    /// The flags in the order of [`by_number`](Self::by_number).
    #[must_use]
    pub const fn from_numbered(flags: [Option<bool>; 6]) -> Self {
        let [
            configured,
            secure,
            recovery,
            debug,
            replay_protected,
            integrity_protected,
        ] = flags;
        Self {
            configured,
            secure,
            recovery,
            debug,
            replay_protected,
            integrity_protected,
        }
    }
}

impl Digest {
    /// A digest whose algorithm follows from its length.
    #[must_use]
    pub fn of_length(bytes: &[u8]) -> Option<Self> {
        let algorithm = match bytes.len() {
            32 => DigestAlgorithm::Sha256,
            48 => DigestAlgorithm::Sha384,
            64 => DigestAlgorithm::Sha512,
            _ => return None,
        };
        let bytes = bytes.to_vec();
        Some(Self { algorithm, bytes })
    }
}

impl DigestAlgorithm {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The number in the registry.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Sha256 => 1,
            Self::Sha384 => 7,
            Self::Sha512 => 8,
        }
    }

    /// Bytes in a digest.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}
