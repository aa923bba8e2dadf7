//! Certificates of the host's own chip, for the owners of its Keeps.
//!
//! ```text
//! <directory>/certificates   a certificate table (AMD #56421, 4.1.8, "SNP Extended Guest Request")
//! ```
//!
//! It goes to owners beside the evidence, not through the Keep, which could do nothing with it: it is the host's
//! either way, and owners believe only what leads to AMD's root.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::LaunchError;
use crate::backend::{Endorsement, EndorsementKind};

/// Where a host has the certificates of its chip, if it has them.
#[derive(Debug, Default)]
pub(crate) struct CertificateFile {
    path: Option<PathBuf>,
}

impl CertificateFile {
    /// The file below `directory`; without one, there is none.
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        Self {
            path: directory.map(|directory| directory.join("certificates")),
        }
    }

    /// What it has for owners, as it is now: the firmware may have been updated since the last launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError::Certificates`].
    pub(crate) fn endorsements(&self) -> Result<Vec<Endorsement>, LaunchError> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        match read(path) {
            Ok(bytes) => Ok(vec![Endorsement {
                kind: EndorsementKind::SnpCertificateTable,
                bytes,
            }]),
            Err(CertificateFileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Vec::new())
            }
            Err(source) => Err(LaunchError::Certificates {
                path: path.clone(),
                source,
            }),
        }
    }
}

/// The largest table in bytes, of which all certificates of a chip take less than half: more would not fit
/// the host's answer to a start.
const MOST: u64 = 32 << 10;

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It is larger than any table of certificates.
    #[error("it is larger than {MOST} bytes")]
    TooLarge,
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateFileError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => Err(CertificateFileError::Empty),
        length if length > MOST => Err(CertificateFileError::TooLarge),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_certificates_go_to_owners() {
        let directory = tempfile::tempdir().unwrap();
        let file = CertificateFile::new(Some(directory.path()));
        assert_eq!(file.endorsements().unwrap(), []);
        assert_eq!(CertificateFile::default().endorsements().unwrap(), []);

        let path = directory.path().join("certificates");
        let longest = vec![7; MOST as usize];
        for bytes in [&b"table"[..], &longest] {
            std::fs::write(&path, bytes).unwrap();
            let expected = Endorsement {
                kind: EndorsementKind::SnpCertificateTable,
                bytes: bytes.to_vec(),
            };
            assert_eq!(file.endorsements().unwrap(), [expected]);
        }

        let refusal = || file.endorsements().unwrap_err().to_string();
        std::fs::write(&path, [longest, vec![7]].concat()).unwrap();
        assert!(refusal().contains("larger than 32768"), "{}", refusal());
        std::fs::write(&path, b"").unwrap();
        assert!(refusal().contains("snphost import"), "{}", refusal());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(refusal().contains("directory"), "{}", refusal());
    }
}
