//! A host and an owner for one Keep, in a child process.

use std::{
    env,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    thread,
};

use enarx_wire_hostcall::{
    ATTESTATION_DEVICE, CHANNEL,
    attestation::{AnswerHeader, Operation, RequestHeader},
    envelope::{Header, Kind},
    lookup::{MAX_ANSWER, decode_request, encode_answer},
};
use enarx_wire_launch::{EvidenceFormat, LaunchPage, MemoryStrategy, Platform};
use enarx_wire_package::{
    ContentKey, Descriptor, DescriptorKind, Digest, Entry, EntryKind, HttpServer, Limits, Manifest,
    NetworkRules, PackageWriter, TlsSettings, Workload, WorkloadKind, digest,
};
use enarx_wire_provision::{
    ApplicationSecret, Challenge, Ending, Grant, Input, InputWriter, Output, OutputReader,
    OwnerOffer, OwnerSecret, SessionSecret, target_digest,
};
use enarx_wire_target::{Calls, CompileTarget};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub const KEY: [u8; 32] = [5; 32];
pub const MEMORY: u64 = 1 << 30;

/// A Keep's process with the host's end of its channel.
pub struct Keep {
    pub channel: UnixStream,
    child: Child,
    directory: TempDir,
    /// What evidence calls the application that was granted, if one was.
    pub application: Option<Digest>,
    /// What is granted to it of its owner's secret.
    pub secret: Option<ApplicationSecret>,
}

impl Keep {
    pub fn launch() -> Self {
        let (channel, keep_channel) = UnixStream::pair().unwrap();
        let (device, keep_device) = UnixStream::pair().unwrap();
        thread::spawn(move || serve_device(device));
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(keep_channel.into(), keep_device.into(), &directory);
        Self {
            channel,
            child,
            directory,
            application: None,
            secret: None,
        }
    }

    pub fn send(&mut self, kind: Kind, payload: &[u8]) {
        // A Keep that has ended already shows in what is received.
        let _ = self.try_send(kind, payload);
    }

    fn try_send(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let header = Header::new(kind, payload.len()).unwrap().encode();
        self.channel.write_all(&[&header, payload].concat())
    }

    /// The next envelope; `None` when the Keep has closed the channel.
    pub fn receive(&mut self) -> Option<(Kind, Vec<u8>)> {
        let mut header = [0; Header::SIZE];
        self.channel.read_exact(&mut header).ok()?;
        let header = Header::decode(header).unwrap();
        let mut payload = vec![0; header.length as usize];
        self.channel.read_exact(&mut payload).ok()?;
        Some((header.kind, payload))
    }

    pub fn expect(&mut self, kind: Kind) -> Vec<u8> {
        match self.receive() {
            Some((actual, payload)) if actual == kind => payload,
            other => panic!("{other:?} instead of {kind:?}"),
        }
    }

    /// Challenges the Keep and reads its offer.
    pub fn challenge(&mut self) -> OwnerOffer {
        let challenge = Challenge::new(&mut random());
        self.send(Kind::Challenge, challenge.nonce());
        let offer = self.expect(Kind::Offer);
        challenge.answered(&offer).unwrap()
    }

    /// Grants the package of `manifest`, and gives the session's secret.
    pub fn grant(&mut self, offer: OwnerOffer, manifest: &Manifest, floor: u64) -> SessionSecret {
        let grant = Grant {
            content_key: Zeroizing::new(KEY),
            manifest_digest: manifest.digest().unwrap(),
            time_floor: floor,
            application_secret: self.secret.clone(),
        };
        self.application = Some(grant.application_identity());
        let (sealed, secret) = offer.seal(None, &grant, &mut random()).unwrap();
        self.send(Kind::Provision, &sealed);
        self.expect(Kind::Ready);
        secret
    }

    pub fn send_package(&mut self, package: &[u8]) {
        for chunk in package.chunks(50_000) {
            self.send(Kind::PackageData, chunk);
        }
        self.send(Kind::PackageEnd, &[]);
    }

    /// Answers the Keep's lookup of a name.
    pub fn answer_lookup(&mut self, request: &[u8], addresses: &[&str]) {
        let (number, _) = decode_request(request).unwrap();
        let addresses: Vec<_> = (addresses.iter())
            .map(|address| address.parse().unwrap())
            .collect();
        let mut buffer = [0; MAX_ANSWER];
        let answer = encode_answer(number, Ok(&addresses), &mut buffer).to_vec();
        self.send(Kind::Addresses, &answer);
    }

    /// The next thing that the Keep says to its owner.
    pub fn next_output(&mut self, reader: &mut OutputReader) -> Output {
        reader.open(&self.expect(Kind::Output)).unwrap()
    }

    /// Reads the session to its end, and waits for the process.
    pub fn finish(self, secret: &SessionSecret) -> Finished {
        self.finish_from(OutputReader::new(secret, 0))
    }

    /// Reads the rest of the session, and waits for the process.
    pub fn finish_from(mut self, mut reader: OutputReader) -> Finished {
        let mut finished = Finished::default();
        while let Some((kind, payload)) = self.receive() {
            assert_eq!(kind, Kind::Output);
            match reader.open(&payload).unwrap() {
                Output::Stdout(bytes) => finished.stdout.extend(bytes),
                Output::Stderr(bytes) => finished.stderr.extend(bytes),
                Output::Log(text) => finished.log.push(text),
                Output::Certificate(der) => finished.certificate = Some(der),
                Output::End(ending) => finished.ending = Some(ending),
            }
        }
        finished.exit = self.exit();
        finished
    }

    /// Waits for the process; gives its exit code.
    pub fn exit(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of a Keep.
#[derive(Debug, Default)]
pub struct Finished {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub log: Vec<String>,
    pub certificate: Option<Vec<u8>>,
    pub ending: Option<Ending>,
    pub exit: Option<i32>,
}

impl Finished {
    pub fn ending(&self) -> &Ending {
        self.ending.as_ref().unwrap()
    }
}

/// An application: its program and what its manifest says beside it.
pub struct Application<'a> {
    pub text: &'a str,
    pub kind: WorkloadKind,
    pub args: Vec<&'a str>,
    pub env: Vec<(&'a str, &'a str)>,
    pub descriptors: Vec<(DescriptorKind, &'a str)>,
    /// What it has for TLS, in PEM.
    pub tls: Vec<(EntryKind, Vec<u8>)>,
    pub tls_settings: Option<TlsSettings>,
    pub network: Option<NetworkRules>,
    pub http: Option<HttpServer>,
    pub preview3: bool,
    pub config: Vec<(&'a str, &'a str)>,
    pub limits: Limits,
    pub files: Vec<(&'a str, &'a [u8])>,
    pub stdin: &'a [u8],
    pub floor: u64,
    pub secret: Option<ApplicationSecret>,
}

impl<'a> Application<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            kind: WorkloadKind::Module,
            args: vec!["program"],
            env: vec![],
            descriptors: vec![
                (DescriptorKind::Stdin, "stdin"),
                (DescriptorKind::Stdout, "stdout"),
                (DescriptorKind::Stderr, "stderr"),
            ],
            tls: vec![],
            tls_settings: None,
            network: None,
            http: None,
            preview3: false,
            config: vec![],
            limits: Limits::default(),
            files: vec![],
            stdin: b"",
            floor: 0,
            secret: Some(OwnerSecret::new([7; 32]).application("test")),
        }
    }

    /// Compiles and packages the application for `target`.
    pub fn package(&self, target: &CompileTarget) -> (Manifest, Vec<u8>) {
        let wasm = wat::parse_str(self.text).unwrap();
        let calls = Calls::with_preview3(self.preview3);
        let engine = wasmtime::Engine::new(&target.compiler_config(calls).unwrap()).unwrap();
        let artifact = match self.kind {
            WorkloadKind::Module => engine.precompile_module(&wasm),
            WorkloadKind::Component => engine.precompile_component(&wasm),
        }
        .unwrap();
        let entry = |path: &str, kind, bytes: &[u8]| Entry {
            path: path.to_owned(),
            kind,
            size: bytes.len() as u64,
            digest: Some(digest(bytes)),
        };
        let mut entries = vec![entry("program", EntryKind::Artifact, &artifact)];
        let files = self.files.iter();
        entries.extend(files.map(|(path, bytes)| entry(path, EntryKind::File, bytes)));
        let materials = self.tls.iter();
        entries.extend(materials.map(|(kind, bytes)| entry("tls", *kind, bytes)));
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let manifest = Manifest {
            version: Manifest::VERSION,
            name: "test".into(),
            workload: Workload {
                kind: self.kind,
                digest: digest(&wasm),
            },
            args: self.args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: self.env.iter().map(pair).collect(),
            descriptors: self
                .descriptors
                .iter()
                .map(|(kind, name)| Descriptor {
                    kind: kind.clone(),
                    name: (*name).to_owned(),
                })
                .collect(),
            tls: self.tls_settings.clone(),
            network: self.network.clone(),
            http: self.http.clone(),
            preview3: self.preview3,
            config: self.config.iter().map(pair).collect(),
            limits: self.limits,
            target: Some(target_digest(target).unwrap()),
            entries,
        };
        let key = ContentKey::new(KEY);
        let mut writer = PackageWriter::new(Vec::new(), &key, [6; 32], &manifest).unwrap();
        writer.entry(artifact.as_slice()).unwrap();
        for (_, bytes) in &self.files {
            writer.entry(*bytes).unwrap();
        }
        for (_, bytes) in &self.tls {
            writer.entry(bytes.as_slice()).unwrap();
        }
        (manifest, writer.finish().unwrap())
    }

    /// Starts the application in a new Keep, up to its running.
    pub fn start(&self) -> (Keep, SessionSecret) {
        let mut keep = Keep::launch();
        let offer = keep.challenge();
        let (manifest, package) = self.package(&offer.claims().target.clone());
        keep.secret.clone_from(&self.secret);
        let secret = keep.grant(offer, &manifest, self.floor);
        keep.send_package(&package);
        (keep, secret)
    }

    /// Runs the application to its end.
    pub fn run(&self) -> Finished {
        let (mut keep, secret) = self.start();
        let mut input = InputWriter::new(&secret, 1, [1; 16]);
        for chunk in self.stdin.chunks(10_000) {
            let frame = input.frame(&Input::Stdin(chunk.to_vec())).unwrap();
            keep.send(Kind::Input, &frame);
        }
        keep.send(Kind::Input, &input.frame(&Input::StdinEnd).unwrap());
        keep.finish(&secret)
    }
}

pub fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn serve_device(mut device: UnixStream) {
    let mut header = [0; RequestHeader::SIZE];
    while device.read_exact(&mut header).is_ok() {
        let operation = RequestHeader::decode(header).unwrap().operation;
        let mut payload = vec![0; operation.payload_size()];
        device.read_exact(&mut payload).unwrap();
        let answer = match operation {
            Operation::Describe => LaunchPage {
                platform: Platform::Process,
                evidence: EvidenceFormat::SnpReport,
                memory: MemoryStrategy::GuardPages,
                memory_bytes: MEMORY,
                runtime_digest: [3; 48],
            }
            .encode()
            .to_vec(),
            Operation::Evidence | Operation::SealingKey => payload,
            Operation::Extend => Vec::new(),
        };
        let header = AnswerHeader::new(answer.len()).unwrap().encode();
        device
            .write_all(&[&header, answer.as_slice()].concat())
            .unwrap();
    }
}

fn spawn(channel: OwnedFd, device: OwnedFd, directory: &TempDir) -> Child {
    let runtime = env::var_os("ENARX_KEEP_RUNTIME")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_enarx-keep-runtime").into());
    let mut command = Command::new(runtime);
    command
        .env_clear()
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // SAFETY: the closure only makes system calls on descriptors that live until
    // the child is spawned.
    unsafe {
        command.pre_exec(move || {
            // Moved out of the way first, in case one has the other's number.
            let high =
                |descriptor: &OwnedFd| libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD, 100);
            let (channel, device) = (high(&channel), high(&device));
            for (from, to) in [(channel, CHANNEL), (device, ATTESTATION_DEVICE)] {
                if libc::dup2(from, to) != to || libc::close(from) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command.spawn().unwrap()
}
