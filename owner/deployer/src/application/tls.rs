//! What a Keep needs for TLS: certificates, a key, and whom to trust. It is read when the
//! application is loaded, so that what is wrong with it is said before anything starts.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use enarx_wire_package::{EntryKind, Manifest};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{ApplicationError, DataFile, DataSource, configuration::TlsConfiguration, mounts};

/// The entries for TLS of the application in `folder`. A program that `connects` and names no
/// authorities trusts those that this machine trusts.
pub(super) fn materials(
    folder: &Path,
    configuration: Option<&TlsConfiguration>,
    connects: bool,
) -> Result<Vec<DataFile>, ApplicationError> {
    let mut entries = Vec::new();
    let mut authorities = None;
    if let Some(configuration) = configuration {
        if let Some((certificate, key)) = &configuration.identity {
            let (certificates, key) = identity(folder, certificate, key)?;
            entries.push(entry(EntryKind::TlsCertificates, certificates));
            entries.push(entry(EntryKind::TlsKey, key));
        }
        if let Some(path) = &configuration.client_authorities {
            let pem = read(folder, path)?;
            certificates(path, &pem)?;
            entries.push(entry(EntryKind::TlsClientAuthorities, pem));
        }
        if let Some(path) = &configuration.authorities {
            let pem = read(folder, path)?;
            certificates(path, &pem)?;
            authorities = Some(pem);
        }
    }
    if connects && authorities.is_none() {
        authorities = Some(own_authorities()?);
    }
    entries.extend(authorities.map(|pem| entry(EntryKind::TlsAuthorities, pem)));
    Ok(entries)
}

/// Why a file for TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// It is larger than such files may be.
    #[error("it has more than {limit} bytes", limit = Manifest::MAX_TLS_BYTES)]
    TooLarge,
    /// There is no certificate in it.
    #[error("there is no certificate in PEM in it")]
    NoCertificate,
    /// There is no key in it.
    #[error("there is no private key in PEM in it; an encrypted one cannot be used")]
    NoKey,
    /// The key is of a kind that Keeps do not use.
    #[error(
        "Keeps use keys of ECDSA on P-256 alone; make one with: openssl ecparam -name prime256v1 -genkey -noout -out FILE"
    )]
    KeyKind,
    /// The key belongs to another certificate.
    #[error("this key does not belong to the certificate in {}", .0.display())]
    OtherKey(PathBuf),
}

/// The contents of a file that may be secret.
type FileBytes = Zeroizing<Vec<u8>>;

/// A certificate chain and its key, which must fit.
fn identity(
    folder: &Path,
    certificate_path: &Path,
    key_path: &Path,
) -> Result<(FileBytes, FileBytes), ApplicationError> {
    let chain = read(folder, certificate_path)?;
    let first = certificates(certificate_path, &chain)?;
    let key = read(folder, key_path)?;
    let problem = |problem| ApplicationError::tls(key_path, problem);
    let parsed = PrivateKeyDer::from_pem_slice(&key).map(Zeroizing::new);
    let parsed = parsed.map_err(|_| problem(TlsProblem::NoKey))?;
    let pair =
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, parsed.secret_der())
            .map_err(|_| problem(TlsProblem::KeyKind))?;
    // A certificate holds the point of its public key as it is.
    let point = pair.public_key().as_ref();
    if !first.windows(point.len()).any(|bytes| bytes == point) {
        return Err(problem(TlsProblem::OtherKey(certificate_path.to_owned())));
    }
    Ok((chain, key))
}

/// The first of the certificates in `pem`, all of which must be well-formed PEM.
fn certificates(path: &Path, pem: &[u8]) -> Result<CertificateDer<'static>, ApplicationError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates
        .ok()
        .and_then(|certificates| certificates.into_iter().next())
        .ok_or_else(|| ApplicationError::tls(path, TlsProblem::NoCertificate))
}

/// What this machine trusts, in PEM.
fn own_authorities() -> Result<FileBytes, ApplicationError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(ApplicationError::NoAuthorities);
    }
    let mut pem = String::new();
    for certificate in found.certs {
        pem.push_str(&to_pem(&certificate));
    }
    Ok(Zeroizing::new(pem.into_bytes()))
}

/// A certificate in PEM (RFC 7468).
#[must_use]
pub fn to_pem(certificate: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = behind;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn read(folder: &Path, relative: &Path) -> Result<FileBytes, ApplicationError> {
    let path = mounts::inside(folder, relative)?;
    let failed = |error| ApplicationError::file(&path, error);
    let mut bytes = Zeroizing::new(Vec::new());
    fs::File::open(&path)
        .map_err(failed)?
        .take(Manifest::MAX_TLS_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > Manifest::MAX_TLS_BYTES {
        return Err(ApplicationError::tls(relative, TlsProblem::TooLarge));
    }
    Ok(bytes)
}

fn entry(kind: EntryKind, bytes: Zeroizing<Vec<u8>>) -> DataFile {
    let name = match kind {
        EntryKind::TlsCertificates => "tls-certificates",
        EntryKind::TlsKey => "tls-key",
        EntryKind::TlsClientAuthorities => "tls-client-authorities",
        _ => "tls-authorities",
    };
    DataFile {
        kind,
        target: name.to_owned(),
        size: bytes.len() as u64,
        digest: None,
        source: DataSource::Memory(Arc::new(bytes)),
    }
}
