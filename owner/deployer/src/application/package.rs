//! Applications that were sealed into a package.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use enarx_wire_package::{
    ContentKey, EntryKind, Manifest, OpenStream, PackageError, PackageReader, StreamError, digest,
};
use enarx_wire_provision::OwnerSecret;

use super::{Application, ApplicationError, DataFile, DataSource, plain_name};

/// Whether the file at `path` begins like a package.
pub(super) fn is_package(path: &Path) -> Result<bool, ApplicationError> {
    let failed = |error| ApplicationError::file(path, error);
    let mut start = Vec::with_capacity(MAGIC.len());
    File::open(path)
        .map_err(failed)?
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(failed)?;
    Ok(start == MAGIC)
}

/// Loads the application in the package at `path`.
pub(super) fn load(path: &Path, key: Option<&ContentKey>) -> Result<Application, ApplicationError> {
    let key = key.ok_or_else(|| ApplicationError::KeyNeeded {
        path: path.to_owned(),
    })?;
    let failed = |error| package_error(path, error);
    let mut reader = PackageReader::open(open(path)?, key).map_err(failed)?;
    match reader.next_entry() {
        Some(entry) if entry.kind == EntryKind::Wasm => {
            if entry.size > enarx_owner_compiler::DEFAULT_MAX_SIZE as u64 {
                return Err(ApplicationError::ProgramTooLarge {
                    path: path.to_owned(),
                });
            }
        }
        _ => {
            return Err(ApplicationError::SealedForOneKeep {
                path: path.to_owned(),
            });
        }
    }
    let mut program = Vec::new();
    reader.copy_entry(&mut program).map_err(failed)?;
    let manifest = reader.manifest();
    if digest(&program) != manifest.workload.digest {
        return Err(ApplicationError::OtherProgram {
            path: path.to_owned(),
        });
    }
    let files = manifest.entries.iter().skip(1).map(|entry| DataFile {
        kind: entry.kind,
        target: entry.path.clone(),
        size: entry.size,
        digest: entry.digest,
        source: DataSource::Package {
            path: path.to_owned(),
            key: key.clone(),
        },
    });
    Ok(Application {
        name: plain_name(&manifest.name),
        program: program.into(),
        args: manifest.args.clone(),
        env: manifest.env.clone(),
        descriptors: manifest.descriptors.clone(),
        tls: manifest.tls.clone(),
        network: manifest.network.clone(),
        http: manifest.http.clone(),
        preview3: manifest.preview3,
        config: manifest.config.clone(),
        limits: manifest.limits,
        files: files.collect(),
        secret: Some(OwnerSecret::new(*key.expose())),
    })
}

/// The bytes of a package's data files, one after the other without a gap.
pub(super) struct PackagedData(OpenStream<BufReader<File>>);

impl PackagedData {
    /// Opens the package at `path` behind its program.
    pub(super) fn open(path: &Path, key: &ContentKey) -> Result<Self, ApplicationError> {
        let failed = |error| package_error(path, error);
        let manifest = PackageReader::open(open(path)?, key)
            .map_err(failed)?
            .manifest()
            .clone();
        let stream = OpenStream::new(open(path)?, key).map_err(|error| failed(error.into()))?;
        let mut data = Self(stream);
        // The same bytes were just read and checked; here they are only passed over.
        let mut length = [0; 4];
        data.read_exact(&mut length)
            .map_err(|error| failed(StreamError::Io(error).into()))?;
        let before = u64::from(u32::from_le_bytes(length)) + program_size(&manifest);
        let passed = io::copy(&mut (&mut data).take(before), &mut io::sink())
            .map_err(|error| failed(StreamError::Io(error).into()))?;
        if passed == before {
            Ok(data)
        } else {
            Err(failed(StreamError::Truncated.into()))
        }
    }
}

impl Read for PackagedData {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.0.fill().map_err(io::Error::other)?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

impl std::fmt::Debug for PackagedData {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PackagedData")
    }
}

const MAGIC: &[u8] = b"ENARXPKG";

fn program_size(manifest: &Manifest) -> u64 {
    manifest.entries.first().map_or(0, |program| program.size)
}

fn open(path: &Path) -> Result<BufReader<File>, ApplicationError> {
    File::open(path)
        .map(BufReader::new)
        .map_err(|error| ApplicationError::file(path, error))
}

fn package_error(path: &Path, error: PackageError) -> ApplicationError {
    ApplicationError::Package {
        path: path.to_owned(),
        error,
    }
}
