//! Keeps without processes, and a host that serves on the loopback interface.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::{
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use enarx_host_agent::{
    KeepLauncher, KeepProcess, LaunchOrder, LaunchRefusal, LaunchedKeep, Limits, ProcessExit,
    Service,
    http::{Access, ServeOptions, serve},
};
use enarx_wire_host_api::{
    BackendInfo, Endorsement, EndorsementKind, HexBytes, KeepInfo, Operation, OutputQuery, Problem,
    StartRequest,
};
use enarx_wire_hostcall::envelope::{FailureCode, Header, Kind};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// Starts fake Keeps. The backend's name says how the Keep behaves.
#[derive(Default)]
pub struct FakeLauncher {
    living: Arc<AtomicUsize>,
}

impl FakeLauncher {
    /// Keeps that were started and have not ended.
    pub fn living(&self) -> usize {
        self.living.load(SeqCst)
    }
}

impl KeepLauncher for FakeLauncher {
    fn backends(&self) -> Vec<BackendInfo> {
        vec![BackendInfo {
            name: "echo".into(),
            hardware: false,
            simulation: true,
        }]
    }

    fn launch(&self, order: &LaunchOrder) -> Result<LaunchedKeep, LaunchRefusal> {
        let behaviour = match order.backend.as_str() {
            "echo" => echo,
            "mute" => mute,
            "refusing" => refusing,
            "dying" => dying,
            "dying-loading" => dying_loading,
            "not-reading" => not_reading,
            "garbage" => garbage,
            "lingering" => lingering,
            "asking" => asking,
            "early-output" => early_output,
            "twice-offering" => twice_offering,
            "unavailable" => return Err(LaunchRefusal::Unavailable("no such device".into())),
            "failing" => return Err(LaunchRefusal::Failed("out of luck".into())),
            _ => return Err(LaunchRefusal::UnknownBackend),
        };
        let (host, keep) = UnixStream::pair().unwrap();
        let exit = Arc::new(Exit {
            killer: keep.try_clone().unwrap(),
            killed: Arc::default(),
            ended: Mutex::default(),
            changed: Condvar::new(),
        });
        self.living.fetch_add(1, SeqCst);
        let living = self.living.clone();
        thread::spawn({
            let exit = exit.clone();
            move || {
                let mut channel = Channel {
                    stream: keep,
                    killed: exit.killed.clone(),
                };
                let success = behaviour(&mut channel).is_some();
                // Counted before anybody can learn of the end.
                living.fetch_sub(1, SeqCst);
                exit.end(success);
            }
        });
        Ok(LaunchedKeep {
            channel: host,
            endorsements: vec![Endorsement {
                kind: EndorsementKind::SnpVcek,
                bytes: vec![1, 2, 3],
            }],
            process: Arc::new(FakeProcess(exit)),
        })
    }
}

struct FakeProcess(Arc<Exit>);

struct Exit {
    killer: UnixStream,
    killed: Arc<AtomicBool>,
    ended: Mutex<Option<ProcessExit>>,
    changed: Condvar,
}

impl Exit {
    fn end(&self, success: bool) {
        let _ = self.killer.shutdown(std::net::Shutdown::Both);
        *self.ended.lock().unwrap() = Some(ProcessExit {
            success,
            description: "exited with status 1".into(),
            diagnostics: "last\x1b[31m words\n".into(),
        });
        self.changed.notify_all();
    }
}

impl KeepProcess for FakeProcess {
    fn kill(&self) {
        self.0.killed.store(true, SeqCst);
        let _ = self.0.killer.shutdown(std::net::Shutdown::Both);
    }

    fn wait(&self) -> ProcessExit {
        let mut ended = self.0.ended.lock().unwrap();
        loop {
            if let Some(exit) = &*ended {
                return exit.clone();
            }
            ended = self.0.changed.wait(ended).unwrap();
        }
    }
}

impl Drop for FakeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The Keep's end of the channel. `None` means that it broke.
struct Channel {
    stream: UnixStream,
    killed: Arc<AtomicBool>,
}

impl Channel {
    fn read(&mut self) -> Option<(Kind, Vec<u8>)> {
        let mut header = [0; Header::SIZE];
        self.stream.read_exact(&mut header).ok()?;
        let header = Header::decode(header).unwrap();
        let mut payload = vec![0; header.length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some((header.kind, payload))
    }

    fn expect(&mut self, kind: Kind) -> Option<Vec<u8>> {
        let (read, payload) = self.read()?;
        assert_eq!(read, kind);
        Some(payload)
    }

    fn write(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let header = Header::new(kind, payload.len()).unwrap().encode();
        self.stream.write_all(&[&header, payload].concat()).ok()
    }

    /// Goes through the protocol until the package may come.
    fn ready(&mut self) -> Option<()> {
        self.offer()?;
        assert_eq!(self.expect(Kind::Provision)?, b"grant");
        self.write(Kind::Ready, &[])
    }

    fn offer(&mut self) -> Option<()> {
        let nonce = self.expect(Kind::Challenge)?;
        assert_eq!(nonce.len(), 32);
        self.write(Kind::Offer, &nonce)
    }
}

/// Says how long its package was, then sends every input back as output. The
/// inputs `exit`, `crash` and `flood` are commands.
fn echo(channel: &mut Channel) -> Option<()> {
    channel.ready()?;
    let mut package = 0;
    loop {
        match channel.read()? {
            (Kind::PackageData, data) => package += data.len(),
            (Kind::PackageEnd, _) => break,
            (other, _) => panic!("{other:?}"),
        }
    }
    channel.write(Kind::Output, format!("package {package}").as_bytes())?;
    loop {
        let input = channel.expect(Kind::Input)?;
        match &input[..] {
            b"exit" => return Some(()),
            b"crash" => return None,
            b"flood" => {
                for number in 0..1000u32 {
                    let mut frame = vec![0; 1000];
                    frame[..4].copy_from_slice(&number.to_le_bytes());
                    channel.write(Kind::Output, &frame)?;
                }
            }
            _ => channel.write(Kind::Output, &input)?,
        }
    }
}

/// Never answers anything.
fn mute(channel: &mut Channel) -> Option<()> {
    while channel.read().is_some() {}
    None
}

/// Does not take its grant.
fn refusing(channel: &mut Channel) -> Option<()> {
    channel.offer()?;
    channel.expect(Kind::Provision)?;
    channel.write(Kind::Failure, &[FailureCode::Grant as u8])
}

/// Ends when it gets its grant.
fn dying(channel: &mut Channel) -> Option<()> {
    channel.offer()?;
    channel.expect(Kind::Provision)?;
    None
}

/// Ends in the middle of its package.
fn dying_loading(channel: &mut Channel) -> Option<()> {
    channel.ready()?;
    channel.expect(Kind::PackageData)?;
    channel.write(Kind::Failure, &[FailureCode::Package as u8])
}

/// Never takes its package.
fn not_reading(channel: &mut Channel) -> Option<()> {
    channel.ready()?;
    not_exiting(channel)
}

/// Closes its channel and does not exit.
fn lingering(channel: &mut Channel) -> Option<()> {
    let _ = channel.stream.shutdown(std::net::Shutdown::Both);
    not_exiting(channel)
}

fn not_exiting(channel: &Channel) -> Option<()> {
    while !channel.killed.load(SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Sends what is no envelope.
fn garbage(channel: &mut Channel) -> Option<()> {
    channel.expect(Kind::Challenge)?;
    channel.stream.write_all(b"\xffgarbage").ok()?;
    mute(channel)
}

/// Looks names up without an end, and takes no answer.
fn asking(channel: &mut Channel) -> Option<()> {
    channel.ready()?;
    while channel.read()?.0 != Kind::PackageEnd {}
    loop {
        channel.write(Kind::Lookup, b"\x01\0\0\0localhost")?;
    }
}

/// Sends output before it has a session.
fn early_output(channel: &mut Channel) -> Option<()> {
    channel.offer()?;
    channel.write(Kind::Output, b"early")?;
    mute(channel)
}

/// Offers again after its grant.
fn twice_offering(channel: &mut Channel) -> Option<()> {
    channel.ready()?;
    channel.write(Kind::Offer, b"again")?;
    mute(channel)
}

/// The nonce of [`request`].
pub const NONCE: [u8; 32] = [0x5a; 32];

/// A start request for a Keep that behaves as `behaviour`.
pub fn request(behaviour: &str) -> StartRequest {
    StartRequest {
        backend: behaviour.into(),
        simulate: true,
        nonce: HexBytes(NONCE),
        memory_bytes: 1 << 20,
        bounded_memory: false,
        cpu_seconds: None,
        network: false,
        host_data: None,
        name: Some("test".into()),
    }
}

/// A host that serves on the loopback interface.
pub struct Host {
    pub address: SocketAddr,
    pub service: Service,
    pub launcher: Arc<FakeLauncher>,
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
}

impl Host {
    pub async fn start(limits: Limits) -> Self {
        Self::start_with(limits, ServeOptions::new(Access::Anyone)).await
    }

    pub async fn start_with(limits: Limits, options: ServeOptions) -> Self {
        let launcher = Arc::new(FakeLauncher::default());
        let service = Service::new(launcher.clone(), limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve(service.clone(), listener, options, stopped));
        Self {
            address,
            service,
            launcher,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Tells the host to shut down, and waits until it has.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap().unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request of `operation` for the Keep `keep`, without a body.
    pub fn ask(&self, operation: Operation, keep: &KeepInfo) -> reqwest::RequestBuilder {
        let method = operation.method().as_str().parse().unwrap();
        let request = self
            .client
            .request(method, self.url(&operation.path_for(keep.id)));
        match operation.request_media_type() {
            Some(media_type) => request.header("content-type", media_type),
            None => request,
        }
    }

    /// Asks for a Keep's output.
    pub async fn output(&self, keep: &KeepInfo, from: u64, follow: bool) -> reqwest::Response {
        let query = OutputQuery { from, follow };
        let url = self.url(&query.path_for(keep.id));
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    }

    /// Starts a Keep over HTTP.
    pub async fn keep(&self, behaviour: &str) -> KeepInfo {
        let answer = self.try_keep(&request(behaviour)).await;
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    pub async fn try_keep(&self, request: &StartRequest) -> reqwest::Response {
        let url = self.url(Operation::Start.path());
        self.client.post(url).json(request).send().await.unwrap()
    }

    /// Starts a Keep that waits for its package.
    pub async fn ready_keep(&self, behaviour: &str) -> KeepInfo {
        let keep = self.keep(behaviour).await;
        let offer = self.ask(Operation::Offer, &keep).send().await.unwrap();
        assert_eq!(offer.status(), 200);
        let provision = self.ask(Operation::Provision, &keep).body("grant");
        assert_eq!(provision.send().await.unwrap().status(), 204);
        keep
    }

    /// Starts a Keep that runs.
    pub async fn running_keep(&self) -> KeepInfo {
        let keep = self.ready_keep("echo").await;
        let package = self.ask(Operation::Package, &keep).body("package");
        assert_eq!(package.send().await.unwrap().status(), 204);
        keep
    }

    /// Sends frames to a Keep that runs.
    pub async fn input(&self, keep: &KeepInfo, inputs: &[&[u8]]) {
        let body = frames(inputs);
        let answer = self.ask(Operation::Input, keep).body(body).send().await;
        assert_eq!(answer.unwrap().status(), 204);
    }

    pub async fn inspect(&self, keep: &KeepInfo) -> KeepInfo {
        let answer = self.ask(Operation::Inspect, keep).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

/// A body of frames.
pub fn frames(frames: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend(*frame);
    }
    body
}

/// The problem that an answer must be.
pub async fn problem(answer: reqwest::Response) -> Problem {
    let status = answer.status();
    let media_type = answer.headers()["content-type"].clone();
    assert_eq!(media_type, "application/problem+json");
    assert!(answer.headers().contains_key("x-request-id") || [404, 405].contains(&status.as_u16()));
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.status, status.as_u16());
    problem
}
