//! Stage three: the grant goes to the Keep, the package after it.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use enarx_owner_evidence::{AnchorKind, UnixTime};
use enarx_wire_package::{CHUNK_SIZE, PackageError, PackageWriter, read_ahead};
use enarx_wire_provision::{ApplicationSecret, Grant, Output, SealError};
use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};
use zeroize::Zeroizing;

use crate::{
    HostConnection, HostError, Observer, PackageStream, Packaged, Progress, Session, SessionEvent,
    application::{Application, ApplicationError},
    package::Contents,
};

impl Packaged {
    /// Seals the package's key to the Keep and streams the package to it. The Keep's clock
    /// will not show a time before `now`. When this fails, the Keep is ended.
    ///
    /// # Errors
    ///
    /// [`ProvisionError`] says whether the host, the Keep's keys, or a source of the
    /// package failed.
    pub async fn provision(
        self,
        host: &dyn HostConnection,
        now: UnixTime,
        observer: &dyn Observer,
    ) -> Result<Session, ProvisionError> {
        let keep = self.attested.keep();
        let provisioned = self.hand_over(host, now, observer).await;
        if provisioned.is_err() {
            // The error that led here says more than a failure to clean up.
            let _ = host.stop(keep).await;
        }
        provisioned
    }

    async fn hand_over(
        self,
        host: &dyn HostConnection,
        now: UnixTime,
        observer: &dyn Observer,
    ) -> Result<Session, ProvisionError> {
        let Self {
            attested,
            contents,
            size,
        } = self;
        let application_secret =
            application_secret(&contents.application, attested.accepted().kind());
        let keep = attested.keep();
        let grant = Grant {
            content_key: Zeroizing::new(*contents.key.expose()),
            manifest_digest: contents.manifest.digest().map_err(PackageError::from)?,
            time_floor: now.0,
            application_secret,
        };
        let (sealed, secret) = attested.into_sealing()?.seal(&grant)?;
        let sent = Arc::new(AtomicU64::new(0));
        // The Keep opens its grant while the package, or its beginning, is encrypted.
        let (provisioned, encrypted) = tokio::join!(host.provision(keep, sealed), async {
            tokio::task::yield_now().await;
            if size <= PIECE as u64 {
                encrypt_whole(contents, size).map(|stream| (None, stream))
            } else {
                let (encryption, stream) = encrypt(contents, Arc::clone(&sent));
                Ok((Some(encryption), stream))
            }
        });
        provisioned?;
        let (encryption, stream) = encrypted?;
        observer.progress(&Progress::Uploading { total: size });
        let uploaded = watch(host.package(keep, stream), &sent, observer).await;
        // A source that failed explains why the host saw the upload break.
        if let Some(encryption) = encryption {
            encryption.await??;
        }
        let session = Session::new(keep, secret);
        if let Err(error) = uploaded
            && !said_its_end(host, &session).await
        {
            return Err(error.into());
        }
        observer.progress(&Progress::Provisioned);
        Ok(session)
    }
}

/// What a Keep that `anchor` vouches for is given of the owner's secret.
fn application_secret(application: &Application, anchor: AnchorKind) -> Option<ApplicationSecret> {
    let (secret, name) = (application.secret.as_ref()?, &application.name);
    Some(match anchor {
        AnchorKind::Genuine => secret.application(name),
        AnchorKind::Simulated => secret.simulated_application(name),
    })
}

/// Whether the Keep itself ended the session. A Keep that refuses a package does so
/// while the host still relays it, so the upload breaks; the Keep's authenticated
/// words say why, and the host's are not needed.
async fn said_its_end(host: &dyn HostConnection, session: &Session) -> bool {
    let ended = async {
        let Ok(mut events) = session.events(host, 0, false).await else {
            return false;
        };
        while let Some(Ok(event)) = events.next().await {
            if matches!(event, SessionEvent::Output(Output::End(_))) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(LAST_WORDS_TIME, ended)
        .await
        .unwrap_or(false)
}

/// How long a host may take to hand over what a Keep said before it ended.
const LAST_WORDS_TIME: Duration = Duration::from_secs(5);

/// Why a Keep could not be provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The host failed or refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The Keep's keys cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The package cannot be written, such as when a file changed meanwhile.
    #[error("the package cannot be sealed: {0}")]
    Package(#[from] PackageError),
    /// A data file cannot be read.
    #[error(transparent)]
    Data(#[from] ApplicationError),
    /// The encrypting thread ended without a word.
    #[error("encrypting the package failed: {0}")]
    Thread(#[from] JoinError),
}

/// Ciphertext is handed over in pieces of about this size, in bytes: a local Keep's channel has
/// room for two, one of which is read while the other is written.
const PIECE: usize = 192 << 10;

/// Pieces that may wait for the host: what is in memory of a package.
const PIECES_AHEAD: usize = 4;

/// How often the progress of an upload is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Encrypts a small package at once: a thread would take longer to start.
fn encrypt_whole(contents: Contents, size: u64) -> Result<PackageStream, ProvisionError> {
    let mut sealed = Vec::with_capacity(usize::try_from(size).unwrap_or(PIECE));
    write(contents, &mut sealed)?;
    Ok(stream::iter([Ok(sealed.into())]).boxed())
}

/// Encrypts on a thread of its own into a stream for the host.
fn encrypt(
    contents: Contents,
    sent: Arc<AtomicU64>,
) -> (JoinHandle<Result<(), ProvisionError>>, PackageStream) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let task = tokio::task::spawn_blocking(move || {
        let failed = sender.clone();
        let written = write(contents, PieceSender::new(sender));
        match written {
            // The host hung up: its own answer says why.
            Err(ProvisionError::Package(PackageError::Stream(error))) if failed.is_closed() => {
                drop(error);
                Ok(())
            }
            Err(error) => {
                // Ends the upload as broken, never as complete.
                let broken = io::Error::other("the package could not be sealed");
                let _ = failed.blocking_send(Err(broken));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let counted = pieces.inspect(move |piece| {
        if let Ok(piece) = piece {
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    (task, counted.boxed())
}

fn write(contents: Contents, sink: impl Write) -> Result<(), ProvisionError> {
    let mut writer = PackageWriter::new(sink, &contents.key, contents.salt, &contents.manifest)?;
    writer.entry(read_ahead(contents.code.reader(), contents.code.size()))?;
    let mut data = contents.application.open_data();
    while let Some((file, bytes)) = data.next_file()? {
        writer.entry(read_ahead(bytes, file.size))?;
    }
    writer.finish()?;
    Ok(())
}

/// Runs `upload` to its end and tells how far it is.
async fn watch<F>(upload: F, sent: &AtomicU64, observer: &dyn Observer) -> Result<(), HostError>
where
    F: Future<Output = Result<(), HostError>>,
{
    let mut upload = std::pin::pin!(upload);
    let mut interval = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            biased;
            result = &mut upload => return result,
            _ = interval.tick() => observer.progress(&Progress::Uploaded {
                bytes: sent.load(Ordering::Relaxed),
            }),
        }
    }
}

/// Gathers what is written into pieces and gives them to the upload, waiting while the
/// host is slow.
struct PieceSender {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
    used: UsedMemory,
}

impl PieceSender {
    fn new(pieces: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self {
            pieces,
            gathered: Vec::new(),
            used: UsedMemory::default(),
        }
    }
}

impl Write for PieceSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.capacity() == 0 {
            self.gathered = self.used.take();
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = Piece {
            bytes: std::mem::take(&mut self.gathered),
            used: self.used.clone(),
        };
        self.pieces
            .blocking_send(Ok(Bytes::from_owner(piece)))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Memory of pieces that the host has taken, for those to come: making it anew would take longer
/// than filling it.
#[derive(Clone, Default)]
struct UsedMemory(Arc<Mutex<Vec<Vec<u8>>>>);

impl UsedMemory {
    fn take(&self) -> Vec<u8> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is written are chunks and their tags.
        used.pop()
            .unwrap_or_else(|| Vec::with_capacity(PIECE + CHUNK_SIZE))
    }

    fn give_back(&self, mut memory: Vec<u8>) {
        memory.clear();
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.push(memory);
    }
}

/// A piece of ciphertext, on its way to the host.
struct Piece {
    bytes: Vec<u8>,
    used: UsedMemory,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.used.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use enarx_wire_provision::OwnerSecret;

    use super::*;
    use crate::application::LoadOptions;

    #[test]
    fn a_trial_is_not_given_what_opens_what_is_stored_in_earnest() {
        let program = tempfile::NamedTempFile::with_suffix(".wasm").unwrap();
        let mut application = Application::load(program.path(), LoadOptions::default()).unwrap();
        let given = |application: &Application, anchor| {
            application_secret(application, anchor).map(|secret| *secret.expose())
        };
        for anchor in [AnchorKind::Genuine, AnchorKind::Simulated] {
            assert_eq!(given(&application, anchor), None);
        }
        let secret = OwnerSecret::new([1; 32]);
        application.secret = Some(secret.clone());
        let genuine = given(&application, AnchorKind::Genuine).unwrap();
        assert_eq!(genuine, *secret.application(&application.name).expose());
        assert_ne!(given(&application, AnchorKind::Simulated), Some(genuine));
        application.name = "another".into();
        assert_ne!(given(&application, AnchorKind::Genuine), Some(genuine));
    }

    #[tokio::test]
    async fn pieces_are_made_of_the_memory_of_those_that_are_gone() {
        const TOTAL: usize = 20 * PIECE + 7;
        let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
        let sending = tokio::task::spawn_blocking(move || {
            let mut sink = PieceSender::new(sender);
            for byte in 0..TOTAL {
                sink.write_all(&[byte as u8]).unwrap();
            }
            sink.flush().unwrap();
        });
        let mut places = std::collections::BTreeSet::new();
        let mut received = 0usize;
        while let Some(piece) = receiver.recv().await {
            let piece = piece.unwrap();
            places.insert(piece.as_ptr().addr());
            for byte in &*piece {
                assert_eq!(*byte, received as u8);
                received += 1;
            }
        }
        sending.await.unwrap();
        assert_eq!(received, TOTAL);
        // Those on their way, the one that is filled and the one that is looked at.
        assert!(places.len() <= PIECES_AHEAD + 3, "{}", places.len());
    }
}
