//! What evidence says, in words common to all technologies.

use crate::{Digest, Technology, UnixTime, Validity};

/// What evidence says, in words common to all technologies.
///
/// This is all that appraisal looks at. A field that a technology does not have is
/// `None`, which a policy that asks for the field does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The technology that vouches for it.
    pub technology: Technology,
    /// The processor product, as its vendor spells it (`Milan`, `Genoa`, `Turin`); for
    /// technologies whose evidence tells none, the name of the technology.
    pub product: &'static str,
    /// Digest of what was loaded into the TEE before it ran.
    pub measurement: Vec<u8>,
    /// What the TEE itself put into the evidence, binding it to its keys or to a nonce:
    /// 64 bytes where the format has a fixed field; empty when there is none.
    pub report_data: Vec<u8>,
    /// What the host put into the evidence at launch, in the length of the format.
    pub host_data: Option<Vec<u8>>,
    /// Whether the host may read and change the TEE's memory for debugging.
    pub debug: bool,
    /// Whether the TEE may be moved to another machine by an agent of the host's choice.
    pub migratable: bool,
    /// The privilege level inside the TEE that asked for the evidence; 0 is the highest.
    pub privilege_level: Option<u32>,
    /// The identity of the processor, where the evidence or its endorsement tells it.
    pub machine: Option<Vec<u8>>,
    /// Security versions of firmware and microcode, where the technology counts them
    /// part by part.
    pub tcb: Vec<TcbComponent>,
    /// The vendor's judgement of the platform's firmware, as the vendor spells it
    /// (`UpToDate`, `SWHardeningNeeded`, ...), where the vendor publishes one.
    pub tcb_status: Option<&'static str>,
    /// The vendor's advisories that apply to the platform.
    pub advisories: Vec<String>,
    /// Switches, by their names in policies.
    pub flags: Vec<Flag>,
    /// Numbers, by their names in policies.
    pub numbers: Vec<Number>,
    /// Further identities and digests, by their names in policies.
    pub values: Vec<Value>,
    /// Whether the vendor's revocation lists were looked at.
    pub revocation_checked: bool,
    /// When the oldest of the collateral that the verdict rests upon was issued;
    /// certificates, which live for years, do not count.
    pub collateral_issued: Option<UnixTime>,
    /// SHA-384 of the `SubjectPublicKeyInfo` of the trust anchor.
    pub anchor: Digest,
    /// The trust anchor's subject common name.
    pub anchor_name: String,
    /// When all certificates and other collateral used hold.
    pub validity: Validity,
}

impl Summary {
    /// Whether the evidence is for these report data or this nonce: they are what it carries,
    /// with nothing but zeros behind them, as fields of a fixed size have.
    #[must_use]
    pub fn carries(&self, report_data: &[u8]) -> bool {
        let rest = self.report_data.strip_prefix(report_data);
        rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    }
}

/// The security version of one part of a platform's trusted computing base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcbComponent {
    /// Name of the part, as in policies (`bootloader`, `microcode`, ...).
    pub name: &'static str,
    /// The version to which the endorsement belongs.
    pub reported: u64,
    /// The version that cannot be undercut any more until the machine is reset.
    pub committed: u64,
    /// The version that runs now.
    pub current: u64,
    /// The version that ran when the TEE was launched.
    pub at_launch: u64,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name in policies (`smt-allowed`, `sept-ve-disable`, ...).
    pub name: &'static str,
    /// Whether it is on.
    pub on: bool,
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its name in policies (`isv-svn`, ...).
    pub name: &'static str,
    /// How much.
    pub value: u64,
}

/// An identity or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its name in policies (`mrsigner`, `rtmr0`, `id-key-digest`, ...).
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
