//! Stage two: the application is compiled for the attested Keep, and its package
//! planned. Encrypting happens while it is sent, so that a package of any size
//! passes through bounded memory.

use std::{fmt, sync::Arc};

use enarx_owner_compiler::{
    Artifact, ArtifactCache, CompileError, Origin, Program, ProgramError, ProgramKind, compile,
    compiled_before,
};
use enarx_wire_cbor::EncodeError;
use enarx_wire_package::{
    ContentKey, Entry, EntryKind, Manifest, ManifestError, Workload, WorkloadKind, sealed_size,
};
use enarx_wire_provision::target_digest;
use enarx_wire_target::{CompileTarget, MemoryStrategy};

use crate::{Attested, Observer, Progress, SystemRandom, application::Application};

/// An application's program, examined while its Keep starts.
#[derive(Debug)]
pub struct Examined {
    program: Program<'static>,
    /// Machine code from the cache, and for what it is.
    known: Option<(CompileTarget, Artifact)>,
}

impl Examined {
    /// Examines the program of `application`. Machine code for a processor like this
    /// machine's is taken from `cache`: many a Keep will want just that.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] when it is no WebAssembly.
    pub fn new(application: &Application, cache: &ArtifactCache) -> Result<Self, ProgramError> {
        let program = Program::new(application.program.clone())?;
        // Whatever is wrong with the cache is told when the Keep's own target is known.
        let known = CompileTarget::detect(MemoryStrategy::GuardPages)
            .ok()
            .and_then(|target| {
                let artifact = compiled_before(&program, &target, cache).ok()??;
                Some((target, artifact))
            });
        Ok(Self { program, known })
    }

    /// Whether there is machine code for this Keep, so that packaging takes no time.
    #[must_use]
    pub fn is_compiled_for(&self, attested: &Attested) -> bool {
        self.known
            .as_ref()
            .is_some_and(|(target, _)| *target == attested.claims().target)
    }
}

/// An application made ready for one attested Keep, under a key of its own.
pub struct Packaged {
    pub(crate) attested: Attested,
    pub(crate) contents: Contents,
    pub(crate) size: u64,
}

/// What goes into the package, and how it is protected.
pub(crate) struct Contents {
    pub(crate) manifest: Manifest,
    pub(crate) artifact: Arc<Vec<u8>>,
    pub(crate) application: Arc<Application>,
    pub(crate) key: ContentKey,
    pub(crate) salt: [u8; 32],
}

impl Attested {
    /// Compiles the application's `examined` program for this Keep, or takes it from
    /// `cache`, and chooses a fresh key.
    ///
    /// # Errors
    ///
    /// [`PackageStageError`] when the program is no WebAssembly that Keeps can run.
    pub fn package(
        self,
        application: Arc<Application>,
        examined: Examined,
        cache: &ArtifactCache,
        observer: &dyn Observer,
    ) -> Result<Packaged, PackageStageError> {
        observer.progress(&Progress::Compiling);
        let target = &self.claims().target;
        let artifact = match examined.known {
            Some((known, artifact)) if known == *target => artifact,
            _ => compile(&examined.program, target, cache)?,
        };
        observer.progress(&Progress::Compiled {
            cached: matches!(artifact.origin, Origin::Cache),
            bytes: artifact.bytes.len() as u64,
            warning: match &artifact.origin {
                Origin::Compiled(Some(error)) => Some(error.to_string()),
                _ => None,
            },
        });
        let workload = Workload {
            kind: match artifact.kind {
                ProgramKind::Module => WorkloadKind::Module,
                ProgramKind::Component => WorkloadKind::Component,
            },
            digest: artifact.program_digest,
        };
        let entry = Entry {
            path: application.name.clone(),
            kind: EntryKind::Artifact,
            size: artifact.bytes.len() as u64,
            // The stream's key is used once, for this Keep alone, and authenticates
            // every byte; hashing the artifact again would only cost time.
            digest: None,
        };
        let manifest = application.manifest(workload, entry, Some(target_digest(target)?));
        let encoded = manifest.encode()?.len() as u64;
        let size = sealed_size(4 + encoded + manifest.content_size());
        let random = SystemRandom::new();
        Ok(Packaged {
            attested: self,
            contents: Contents {
                manifest,
                artifact: Arc::new(artifact.bytes),
                application,
                key: ContentKey::new(random.bytes()),
                salt: random.bytes(),
            },
            size,
        })
    }
}

impl fmt::Debug for Packaged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Packaged")
            .field("attested", &self.attested)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Packaged {
    /// Size of the sealed package in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

/// Why an application could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PackageStageError {
    /// The program cannot be compiled for this Keep.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The manifest contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The compile target cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
