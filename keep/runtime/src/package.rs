//! Receiving the package.

use std::{
    io::{self, BufRead, Read, Write as _},
    path::Path,
};

use enarx_wire_hostcall::envelope::{Kind, MAX_PAYLOAD};
use enarx_wire_package::{ContentKey, Entry, EntryKind, Manifest, PackageError, PackageReader};
use enarx_wire_provision::{Grant, target_digest};
use enarx_wire_target::CompileTarget;
use zeroize::Zeroizing;

use crate::{
    channel::{Channel, ChannelError, Deadline},
    code::Code,
    tls::Materials,
    tree::FileTree,
};

/// A package whose every byte was authenticated and checked.
pub struct Package {
    /// What it is and how it is run.
    pub manifest: Manifest,
    /// The program's machine code.
    pub code: Code,
    /// What it holds for TLS.
    pub tls: Materials,
    /// The root of its files, if this Keep has a place for files.
    pub tree: Option<FileTree>,
}

/// Reads the granted package from the host. Its files go to `tree` as they come; no
/// more than one envelope and the program are held beside them.
///
/// # Errors
///
/// [`LoadError`] when the host did not give the granted package, or the package is
/// not one that this Keep can run.
pub fn load(
    channel: &Channel,
    grant: &Grant,
    target: &CompileTarget,
    tree: &Path,
) -> Result<Package, LoadError> {
    let mut source = PackageSource::new(channel);
    let loaded = read(&mut source, grant, target, FileTree::new(tree));
    // Behind a failed stream stands what the host did.
    match source.failure {
        Some(failure) => Err(failure.into()),
        None => loaded,
    }
}

/// Why a package was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The host broke the channel's protocol.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It is not the granted package, whole and unaltered.
    #[error("the host did not deliver the granted package: {0}")]
    Package(#[from] PackageError),
    /// It is the granted package, but cannot be run here.
    #[error("{0}")]
    Refused(String),
}

fn read(
    source: &mut PackageSource<'_>,
    grant: &Grant,
    target: &CompileTarget,
    tree: Option<FileTree>,
) -> Result<Package, LoadError> {
    let key = ContentKey::new(*grant.content_key);
    let mut reader = PackageReader::open(source, &key)?;
    if *reader.manifest_digest() != grant.manifest_digest {
        return Err(PackageError::OtherManifest.into());
    }
    check_target(reader.manifest(), target)?;
    let mut code = None;
    let mut tls = Materials::default();
    while let Some(entry) = reader.next_entry().cloned() {
        match entry.kind {
            EntryKind::Artifact => {
                let code = code.insert(place(&entry, |size| Code::new(size).ok())?);
                reader.fill_entry(code.bytes_mut())?;
            }
            EntryKind::File => {
                let tree = tree.as_ref().ok_or_else(|| {
                    LoadError::Refused("this Keep has no place for the package's files".into())
                })?;
                let refused = |error| LoadError::Refused(format!("{}: {error}", entry.path));
                let mut file = tree.create(&entry.path).map_err(refused)?;
                reader.copy_entry(&mut file)?;
                file.flush().map_err(refused)?;
            }
            EntryKind::Wasm => return Err(not_compiled()),
            kind => {
                let mut material = Zeroizing::new(place(&entry, reserved)?);
                reader.copy_entry(&mut *material)?;
                if let Some(place) = tls.place(kind) {
                    *place = Some(material);
                }
            }
        }
    }
    Ok(Package {
        manifest: reader.finish()?,
        code: code.ok_or_else(not_compiled)?,
        tls,
        tree,
    })
}

/// The artifact was compiled for a target; it must be this Keep's.
fn check_target(manifest: &Manifest, own: &CompileTarget) -> Result<(), LoadError> {
    let wanted = manifest.target.ok_or_else(not_compiled)?;
    let own = target_digest(own).map_err(|error| LoadError::Refused(error.to_string()))?;
    if own == wanted {
        Ok(())
    } else {
        Err(LoadError::Refused(
            "the program was compiled for another target than this Keep's".into(),
        ))
    }
}

fn not_compiled() -> LoadError {
    LoadError::Refused("the package holds WebAssembly that was not compiled for this Keep".into())
}

/// What `make` gives for as many bytes as `entry` has, if there is so much memory.
fn place<T>(entry: &Entry, make: impl FnOnce(usize) -> Option<T>) -> Result<T, LoadError> {
    let size = usize::try_from(entry.size).ok();
    size.and_then(make).ok_or_else(|| {
        LoadError::Refused(format!(
            "the program's {} bytes do not fit into this Keep",
            entry.size
        ))
    })
}

fn reserved(size: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).ok().map(|()| bytes)
}

/// The package's bytes, out of the host's envelopes.
struct PackageSource<'a> {
    channel: &'a Channel,
    envelope: Vec<u8>,
    position: usize,
    ended: bool,
    failure: Option<ChannelError>,
}

impl<'a> PackageSource<'a> {
    const fn new(channel: &'a Channel) -> Self {
        Self {
            channel,
            envelope: Vec::new(),
            position: 0,
            ended: false,
            failure: None,
        }
    }

    fn receive(&mut self) -> Result<(), ChannelError> {
        let due = [Kind::PackageData, Kind::PackageEnd];
        self.position = 0;
        let envelope = &mut self.envelope;
        let kind = (self.channel).receive_into(envelope, &due, MAX_PAYLOAD, Deadline::NEVER)?;
        if kind == Kind::PackageEnd {
            let length = self.envelope.len();
            if length > 0 {
                return Err(ChannelError::TooLong { length, limit: 0 });
            }
            self.ended = true;
        }
        Ok(())
    }
}

impl Read for PackageSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for PackageSource<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.envelope.len() && !self.ended {
            if let Err(error) = self.receive() {
                self.failure = Some(error);
                return Err(io::Error::other(error));
            }
        }
        Ok(&self.envelope[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position = self.envelope.len().min(self.position + count);
    }
}
