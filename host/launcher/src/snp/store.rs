//! Identities that authors have signed, for a host's own launches.
//!
//! ```text
//! <directory>/<measurement>.identity   what `enarx key identify` writes
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use enarx_wire_launch::{Digest, SnpIdentityError, SnpKey, SnpSignature, SnpSignedIdentity};

use super::GUEST_POLICY;
use crate::LaunchError;

/// The identities below a directory.
#[derive(Debug, Default)]
pub(crate) struct IdentityStore {
    directory: Option<PathBuf>,
}

impl IdentityStore {
    /// A store that, without a directory, has none.
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
        }
    }

    /// The identity of a machine that measures this, if there is one. What the firmware would
    /// refuse is refused here.
    ///
    /// # Errors
    ///
    /// [`LaunchError::Identity`].
    pub(crate) fn of(
        &self,
        measurement: &Digest,
    ) -> Result<Option<SnpSignedIdentity>, LaunchError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(identity_file_name(measurement));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(&path, StoredIdentityError::Read(error))),
        };
        verified(&bytes, measurement)
            .map(Some)
            .map_err(|error| refused(&path, error))
    }
}

/// The name of the file with the identity of a machine that measures this, below the directory that
/// [`KvmBackend::snp`](crate::kvm::KvmBackend::snp) was given.
#[must_use]
pub fn identity_file_name(measurement: &Digest) -> String {
    format!("{}.identity", hex::encode(measurement))
}

/// What is wrong with a stored identity.
#[derive(Debug, thiserror::Error)]
pub enum StoredIdentityError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// It is none.
    #[error("{0}")]
    Malformed(#[from] SnpIdentityError),
    /// It is of another machine.
    #[error("it is of a machine that measures something else")]
    Measurement,
    /// It is of a machine with another policy.
    #[error("it demands the policy {0:#x}, and Keeps are launched with {GUEST_POLICY:#x}")]
    Policy(u64),
    /// A signature is wrong.
    #[error("it is not signed by the key that it names")]
    Signature,
}

fn refused(path: &Path, source: StoredIdentityError) -> LaunchError {
    LaunchError::Identity {
        path: path.to_owned(),
        source,
    }
}

fn verified(bytes: &[u8], measurement: &Digest) -> Result<SnpSignedIdentity, StoredIdentityError> {
    let signed = SnpSignedIdentity::decode(bytes)?;
    let identity = &signed.identity;
    if identity.measurement != *measurement {
        return Err(StoredIdentityError::Measurement);
    }
    if identity.policy != GUEST_POLICY {
        return Err(StoredIdentityError::Policy(identity.policy));
    }
    verify(&signed.key, &identity.encode(), &signed.signature)?;
    if let Some((author, signature)) = &signed.author {
        verify(author, &signed.key.encode(), signature)?;
    }
    Ok(signed)
}

fn verify(
    key: &SnpKey,
    message: &[u8],
    signature: &SnpSignature,
) -> Result<(), StoredIdentityError> {
    const UNCOMPRESSED: &[u8] = &[4];
    let point = [UNCOMPRESSED, &key.x, &key.y].concat();
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
        .verify(message, &[signature.r, signature.s].concat())
        .map_err(|_| StoredIdentityError::Signature)
}

#[cfg(test)]
mod tests {
    use enarx_wire_launch::SnpIdentity;

    use super::*;
    use crate::snp::IdentityKey;

    #[test]
    fn an_identity_is_used_if_the_firmware_would_take_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = IdentityStore::new(Some(directory.path()));
        let (key, author) = (
            IdentityKey::generate().unwrap(),
            IdentityKey::generate().unwrap(),
        );
        let identity = SnpIdentity {
            measurement: [7; 48],
            family: [1; 16],
            image: [2; 16],
            security_version: 3,
            policy: GUEST_POLICY,
        };
        let put = |bytes: &[u8]| {
            let path = directory.path().join(identity_file_name(&[7; 48]));
            fs::write(path, bytes).unwrap();
        };
        assert_eq!(store.of(&[7; 48]).unwrap(), None);
        assert_eq!(IdentityStore::default().of(&[7; 48]).unwrap(), None);
        let signed = key.sign(&identity, Some(&author)).unwrap();
        put(&signed.encode());
        assert_eq!(store.of(&[7; 48]).unwrap(), Some(signed));

        let refusal = |signed: &SnpSignedIdentity| {
            put(&signed.encode());
            match store.of(&[7; 48]) {
                Err(LaunchError::Identity { source, .. }) => source,
                other => panic!("{other:?}"),
            }
        };
        let sign = |identity| key.sign(&identity, None).unwrap();
        let other = SnpIdentity {
            measurement: [8; 48],
            ..identity
        };
        assert!(matches!(
            refusal(&sign(other)),
            StoredIdentityError::Measurement
        ));
        let debug = SnpIdentity {
            policy: 0xB_0000,
            ..identity
        };
        assert!(matches!(
            refusal(&sign(debug)),
            StoredIdentityError::Policy(0xB_0000)
        ));
        let mut forged = signed;
        forged.identity.security_version = 4;
        assert!(matches!(refusal(&forged), StoredIdentityError::Signature));
        let mut adopted = signed;
        adopted.author = Some((key.public(), signed.signature));
        assert!(matches!(refusal(&adopted), StoredIdentityError::Signature));
        put(b"nothing");
        assert!(
            store
                .of(&[7; 48])
                .unwrap_err()
                .to_string()
                .contains("has 4192 bytes")
        );
    }
}
