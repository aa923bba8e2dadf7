//! The instructions that use the processor's own keys: `EREPORT` and `EGETKEY`.

use std::sync::Arc;

use aws_lc_rs::{cmac, hmac};
use zeroize::Zeroizing;

use super::{
    Attributes, EnclaveIdentity, KeyName, KeyPolicy, KeyRequest, Report, TargetInfo, platform,
};

/// Size of a key that `EGETKEY` gives in bytes.
pub const KEY_SIZE: usize = 16;

/// Size of what stands for the fuses in bytes.
pub(super) const FUSES_SIZE: usize = 32;

/// The secrets of one simulated processor, from which all keys of its enclaves derive.
///
/// A real processor derives them from fuses by a function that Intel does not tell. Here a
/// key is the first 16 bytes of HMAC-SHA-256, under 32 random bytes, of the fields that the
/// manual calls `KEYDEPENDENCIES`, in this order and of fixed sizes: `KEYNAME`, `ISVPRODID`,
/// `ISVSVN`, `CONFIGSVN`, `KEYPOLICY`, `ISVFAMILYID`, `ISVEXTPRODID`, `ATTRIBUTES`,
/// `ATTRIBUTEMASK`, `MRENCLAVE`, `MRSIGNER`, `KEYID`, `CPUSVN`, `MISCSELECT`, `MISCMASK`,
/// `CONFIGID`. The owner's epoch is zero.
#[derive(Clone)]
pub struct Fuses(Arc<Zeroizing<[u8; FUSES_SIZE]>>);

/// Why `EGETKEY` gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The request uses key separation and sharing, which the enclave has not enabled.
    #[error("the enclave has not enabled key separation and sharing")]
    KeySeparation,
    /// The enclave has not the attribute that this key takes.
    #[error("the enclave may not have this key")]
    InvalidAttribute,
    /// The processor's security version is below the one asked for.
    #[error("the processor's security version is below that of the key")]
    InvalidCpuSvn,
    /// The enclave's security version, or its configuration's, is below the one asked for.
    #[error("the enclave's security version is below that of the key")]
    InvalidIsvSvn,
    /// There is no such key.
    #[error("there is no such key")]
    InvalidKeyName,
}

impl KeyError {
    /// What the instruction leaves in `RAX` (Intel SDM, volume 3D, "Error or Information
    /// Codes for Intel SGX Instructions"); `None` when it raises a general protection fault
    /// instead.
    #[must_use]
    pub const fn code(self) -> Option<u64> {
        match self {
            Self::KeySeparation => None,
            Self::InvalidAttribute => Some(2),
            Self::InvalidCpuSvn => Some(32),
            Self::InvalidIsvSvn => Some(64),
            Self::InvalidKeyName => Some(256),
        }
    }
}

impl Fuses {
    pub(super) fn new(secret: Zeroizing<[u8; FUSES_SIZE]>) -> Self {
        Self(Arc::new(secret))
    }

    /// `EREPORT`: the report of `enclave` for `target`, as it is written to memory.
    ///
    /// `key_id` is what the processor draws when it starts (`CR_REPORT_KEYID`).
    #[must_use]
    pub fn ereport(
        &self,
        enclave: &EnclaveIdentity,
        target: &TargetInfo,
        report_data: &[u8; 64],
        key_id: [u8; 32],
    ) -> [u8; Report::SIZE] {
        let mut report = Report {
            cpu_svn: platform::CPU_SVN,
            enclave: *enclave,
            report_data: *report_data,
            key_id,
            mac: [0; 16],
        };
        let key = self.report_key(target, key_id);
        let body = &report.to_bytes()[..Report::BODY_SIZE];
        let mac = cmac::sign(&authentication_key(&key), body);
        let mac = mac.expect("AES-CMAC has no limit that a report exceeds");
        report.mac.copy_from_slice(mac.as_ref());
        report.to_bytes()
    }

    /// Whether `report` was made on this machine for `target`: what an enclave does with the
    /// report key that it got by [`egetkey`](Self::egetkey).
    pub(super) fn is_made_for(&self, target: &TargetInfo, report: &[u8; Report::SIZE]) -> bool {
        let Report { key_id, mac, .. } = Report::from_bytes(report);
        let key = self.report_key(target, key_id);
        let body = &report[..Report::BODY_SIZE];
        cmac::verify(&authentication_key(&key), body, &mac).is_ok()
    }

    /// `EGETKEY`: the key that `enclave` requests.
    ///
    /// Only architectural enclaves have the attributes for provisioning keys and launch
    /// tokens, and the simulator is those itself; so no enclave gets one of these.
    ///
    /// # Errors
    ///
    /// [`KeyError`], in the order of the manual's pseudo-code.
    pub fn egetkey(
        &self,
        enclave: &EnclaveIdentity,
        request: &KeyRequest,
    ) -> Result<[u8; KEY_SIZE], KeyError> {
        let separated = request.key_policy.has(KeyPolicy::OF_KEY_SEPARATION);
        if !enclave.attributes.has(Attributes::KSS) && (separated || request.config_svn > 0) {
            return Err(KeyError::KeySeparation);
        }
        match KeyName::from_code(request.key_name) {
            Some(KeyName::Report) => Ok(self.report_key(&TargetInfo::of(enclave), request.key_id)),
            Some(KeyName::Seal) => self.seal_key(enclave, request),
            Some(KeyName::EinitToken | KeyName::Provision | KeyName::ProvisionSeal) => {
                Err(KeyError::InvalidAttribute)
            }
            None => Err(KeyError::InvalidKeyName),
        }
    }

    fn report_key(&self, target: &TargetInfo, key_id: [u8; 32]) -> [u8; KEY_SIZE] {
        self.derive(&KeyDependencies {
            name: KeyName::Report,
            isv_prod_id: 0,
            isv_svn: 0,
            config_svn: target.config_svn,
            policy: KeyPolicy::default(),
            isv_family_id: [0; 16],
            isv_ext_prod_id: [0; 16],
            attributes: target.attributes,
            attribute_mask: Attributes::default(),
            mrenclave: target.mrenclave,
            mrsigner: [0; 32],
            key_id,
            cpu_svn: platform::CPU_SVN,
            misc_select: target.misc_select,
            misc_mask: 0,
            config_id: target.config_id,
        })
    }

    fn seal_key(
        &self,
        enclave: &EnclaveIdentity,
        request: &KeyRequest,
    ) -> Result<[u8; KEY_SIZE], KeyError> {
        let mut versions = request.cpu_svn.iter().zip(platform::CPU_SVN);
        if versions.any(|(wanted, own)| *wanted > own) {
            return Err(KeyError::InvalidCpuSvn);
        }
        if request.isv_svn > enclave.isv_svn || request.config_svn > enclave.config_svn {
            return Err(KeyError::InvalidIsvSvn);
        }
        let policy = request.key_policy;
        let configured = policy.has(KeyPolicy::CONFIG_ID);
        // Whether an enclave can be debugged is part of every key.
        let required = Attributes::INIT | Attributes::DEBUG;
        let mask = request.attribute_mask;
        Ok(self.derive(&KeyDependencies {
            name: KeyName::Seal,
            isv_prod_id: unless(policy.has(KeyPolicy::NO_ISV_PROD_ID), enclave.isv_prod_id),
            isv_svn: request.isv_svn,
            config_svn: unless(!configured, request.config_svn),
            policy,
            isv_family_id: included(policy.has(KeyPolicy::ISV_FAMILY_ID), enclave.isv_family_id),
            isv_ext_prod_id: included(
                policy.has(KeyPolicy::ISV_EXT_PROD_ID),
                enclave.isv_ext_prod_id,
            ),
            attributes: Attributes {
                flags: (mask.flags | required) & enclave.attributes.flags,
                xfrm: mask.xfrm & enclave.attributes.xfrm,
            },
            attribute_mask: mask,
            mrenclave: included(policy.has(KeyPolicy::MRENCLAVE), enclave.mrenclave),
            mrsigner: included(policy.has(KeyPolicy::MRSIGNER), enclave.mrsigner),
            key_id: request.key_id,
            cpu_svn: request.cpu_svn,
            misc_select: request.misc_mask & enclave.misc_select,
            misc_mask: !request.misc_mask,
            config_id: included(configured, enclave.config_id),
        }))
    }

    fn derive(&self, dependencies: &KeyDependencies) -> [u8; KEY_SIZE] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &**self.0));
        dependencies.each(|field| context.update(field));
        let mut key = [0; KEY_SIZE];
        key.copy_from_slice(&context.sign().as_ref()[..KEY_SIZE]);
        key
    }

    /// The key with which the TDX module authenticates reports.
    pub(super) fn trust_domain_key(&self) -> hmac::Key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &**self.0);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, b"TDREPORT").as_ref())
    }

    /// A value that is this processor's own, for the purpose named by `label`.
    pub(super) fn identity(&self, label: &str) -> [u8; 16] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &**self.0);
        let tag = hmac::sign(&key, label.as_bytes());
        let mut identity = [0; 16];
        identity.copy_from_slice(&tag.as_ref()[..16]);
        identity
    }
}

impl std::fmt::Debug for Fuses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fuses").finish_non_exhaustive()
    }
}

/// What a key depends on (Intel SDM, volume 3D, `EGETKEY`, `TMP_KEYDEPENDENCIES`).
struct KeyDependencies {
    name: KeyName,
    isv_prod_id: u16,
    isv_svn: u16,
    config_svn: u16,
    policy: KeyPolicy,
    isv_family_id: [u8; 16],
    isv_ext_prod_id: [u8; 16],
    attributes: Attributes,
    attribute_mask: Attributes,
    mrenclave: [u8; 32],
    mrsigner: [u8; 32],
    key_id: [u8; 32],
    cpu_svn: [u8; 16],
    misc_select: u32,
    misc_mask: u32,
    config_id: [u8; 64],
}

impl KeyDependencies {
    /// Gives each field to `take`, in the order that [`Fuses`] documents.
    fn each(&self, mut take: impl FnMut(&[u8])) {
        take(&(self.name as u16).to_le_bytes());
        take(&self.isv_prod_id.to_le_bytes());
        take(&self.isv_svn.to_le_bytes());
        take(&self.config_svn.to_le_bytes());
        take(&self.policy.0.to_le_bytes());
        take(&self.isv_family_id);
        take(&self.isv_ext_prod_id);
        take(&self.attributes.to_bytes());
        take(&self.attribute_mask.to_bytes());
        take(&self.mrenclave);
        take(&self.mrsigner);
        take(&self.key_id);
        take(&self.cpu_svn);
        take(&self.misc_select.to_le_bytes());
        take(&self.misc_mask.to_le_bytes());
        take(&self.config_id);
    }
}

fn authentication_key(key: &[u8; KEY_SIZE]) -> cmac::Key {
    cmac::Key::new(cmac::AES_128, key).expect("the key has the size of an AES-128 key")
}

fn included<const N: usize>(included: bool, value: [u8; N]) -> [u8; N] {
    if included { value } else { [0; N] }
}

fn unless(left_out: bool, value: u16) -> u16 {
    if left_out { 0 } else { value }
}
