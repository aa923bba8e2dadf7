//! Stage two: the application is compiled for the attested Keep, and its package
//! planned. Encrypting happens while it is sent, so that a package of any size
//! passes through bounded memory.

use std::{fmt, io, sync::Arc};

use enarx_owner_compiler::{
    Artifact, ArtifactCache, CompileError, MachineCode, Origin, Program, ProgramError, ProgramId,
    ProgramKind, ProgramSource, compile, compiled_before,
};
use enarx_wire_cbor::EncodeError;
use enarx_wire_package::{
    ContentKey, Entry, EntryKind, Manifest, ManifestError, Workload, WorkloadKind, sealed_size,
};
use enarx_wire_provision::target_digest;
use enarx_wire_target::{Calls, CompileTarget, MemoryStrategy};

use crate::{Attested, Observer, Progress, SystemRandom, application::Application};

/// An application's program, examined while its Keep starts.
#[derive(Debug)]
pub struct Examined {
    id: ProgramId,
    /// With which calls it is compiled.
    calls: Calls,
    /// The program, if it had to be read for that.
    program: Option<Program<'static>>,
    /// Machine code from the cache, and for what it is.
    known: Option<(CompileTarget, Artifact)>,
}

impl Examined {
    /// Examines the program of `application`. Machine code for a processor like this
    /// machine's is taken from `cache`: many a Keep will want just that.
    ///
    /// # Errors
    ///
    /// [`ExamineError`] when it cannot be read or is no WebAssembly.
    pub fn new(application: &Application, cache: &ArtifactCache) -> Result<Self, ExamineError> {
        let source = &application.program;
        let calls = Calls::with_preview3(application.preview3);
        let (id, program) = match cache.recall(source) {
            Some(id) => (id, None),
            None => {
                let program = read(source)?;
                cache.remember(source, program.id());
                (program.id(), Some(program))
            }
        };
        // Whatever is wrong with the cache is told when the Keep's own target is known.
        let known = CompileTarget::detect(MemoryStrategy::GuardPages)
            .ok()
            .and_then(|target| {
                let artifact = compiled_before(&id, &target, calls, cache).ok()??;
                Some((target, artifact))
            });
        Ok(Self {
            id,
            calls,
            program,
            known,
        })
    }

    /// Whether there is machine code for this Keep, so that packaging takes no time.
    #[must_use]
    pub fn is_compiled_for(&self, attested: &Attested) -> bool {
        self.known
            .as_ref()
            .is_some_and(|(target, _)| *target == attested.claims().target)
    }

    /// Machine code for `target`, from `cache` if it is there.
    fn compile(
        self,
        source: &ProgramSource,
        target: &CompileTarget,
        cache: &ArtifactCache,
    ) -> Result<Artifact, PackageStageError> {
        if let Some((known, artifact)) = self.known
            && known == *target
        {
            return Ok(artifact);
        }
        let program = match self.program {
            Some(program) => program,
            None => match compiled_before(&self.id, target, self.calls, cache) {
                Ok(Some(artifact)) => return Ok(artifact),
                // What is wrong with the cache is told by the compiler.
                Ok(None) | Err(_) => read(source)?,
            },
        };
        Ok(compile(&program, target, self.calls, cache)?)
    }
}

fn read(source: &ProgramSource) -> Result<Program<'static>, ExamineError> {
    Ok(Program::new(source.bytes()?.into_owned())?)
}

/// Why a program could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// Its file cannot be read, or has changed.
    #[error("the program cannot be read: {0}")]
    File(#[from] io::Error),
    /// It is no WebAssembly.
    #[error(transparent)]
    Program(#[from] ProgramError),
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
    pub(crate) code: MachineCode,
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
        let artifact = examined.compile(&application.program, target, cache)?;
        observer.progress(&Progress::Compiled {
            cached: matches!(artifact.origin, Origin::Cache),
            bytes: artifact.code.size(),
            warning: match &artifact.origin {
                Origin::Compiled(Some(error)) => Some(error.to_string()),
                _ => None,
            },
        });
        let workload = Workload {
            kind: match artifact.program.kind {
                ProgramKind::Module => WorkloadKind::Module,
                ProgramKind::Component => WorkloadKind::Component,
            },
            digest: artifact.program.digest,
        };
        let entry = Entry {
            path: application.name.clone(),
            kind: EntryKind::Artifact,
            size: artifact.code.size(),
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
                code: artifact.code,
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
    /// The program cannot be read any more.
    #[error(transparent)]
    Examine(#[from] ExamineError),
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
