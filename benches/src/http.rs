//! Requests to a component: how many a second, and how long the slowest take.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::HOST,
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Runtime, task::JoinSet};
use tokio_rustls::TlsConnector;

use crate::{
    environment::Environment,
    options::{Backend, Benchmark},
    quantity::Quantity,
    report::{Figure, Promise, Section},
    sample::{Contender, Sample, interleaved},
    server::Server,
    tls,
};

/// It answers each request with a sentence.
const COMPONENT: &str = include_str!("../../examples/http-service/service.wat");
const ANSWER: &[u8] = b"Hello from a component in a Keep!\n";

/// Connections at a time, each with one request after another.
const CONNECTIONS: usize = 16;

/// Measures the component in a Keep and in `wasmtime serve`, with TLS and without.
///
/// # Errors
///
/// When a server does not start, or answers otherwise than it should.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Http.title());
    let keep = &start_keep(environment, "tls")?;
    let plain_keep = &start_keep(environment, "tcp")?;
    let rivals = Rivals::start(environment)?;
    let time = Duration::from_secs(if environment.quick { 1 } else { 2 });
    let client = &Client {
        runtime: Runtime::new()?,
        tls: tls::client()?,
        time,
    };
    let mut contenders: Vec<Contender<'_, Round>> = vec![
        Box::new(|| client.round(&[keep], true)),
        Box::new(|| client.round(&[plain_keep], false)),
    ];
    if let Some(Rivals { wasmtime, proxy }) = &rivals {
        contenders.push(Box::new(|| client.round(&[proxy, wasmtime], true)));
        contenders.push(Box::new(|| client.round(&[wasmtime], false)));
    }
    let rounds = interleaved(environment.rounds(6), contenders)?;

    type Part = fn(&Round) -> f64;
    let figure = |what: &str, unit: fn(f64) -> Quantity, part: Part, ours: usize, rival: &str| {
        let sample = |rounds: &Vec<Round>| Sample::new(rounds.iter().map(part));
        let theirs = rounds.get(ours + 2).map(sample);
        Figure::of_samples(what, unit, &sample(&rounds[ours]), rival, theirs.as_ref())
    };
    let rival = "wasmtime serve behind rustls";
    let rate: Part = |round| round.rate;
    let requests = figure("requests, with TLS", Quantity::PerSecond, rate, 0, rival);
    section.figures = vec![
        match environment.backend {
            Backend::Process => requests.promised(Promise::RatioAtLeast(0.9)),
            Backend::Sgx | Backend::Kvm => requests,
        },
        figure(
            "  99 of 100 take at most",
            Quantity::Seconds,
            |round| round.slow,
            0,
            rival,
        ),
        figure(
            "  processor time of one",
            Quantity::Seconds,
            |round| round.processor,
            0,
            rival,
        ),
        figure(
            "requests, without TLS",
            Quantity::PerSecond,
            rate,
            1,
            "wasmtime serve",
        ),
    ];
    section.notes.push(format!(
        "{CONNECTIONS} connections at a time, each with one request of HTTP/1.1 after another for {} s; each request has an instance of its own",
        time.as_secs()
    ));
    section.notes.push(
        "the client is on the same machine and part of all figures, but not of processor time, which is the servers' alone"
            .into(),
    );
    Ok(section)
}

fn start_keep(environment: &Environment, protocol: &str) -> anyhow::Result<Server> {
    // Without TLS there is no place for what belongs to it.
    let tls = match protocol {
        "tls" => "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n",
        _ => "",
    };
    let configuration =
        format!("[http]\naddr = \"127.0.0.1\"\nport = 0\nprot = \"{protocol}\"\n{tls}");
    let name = format!("http-{protocol}");
    Server::keep(environment, &name, &configuration, COMPONENT)
}

/// What one would use without Keeps.
struct Rivals {
    wasmtime: Server,
    /// Ends TLS in front of it.
    proxy: Server,
}

impl Rivals {
    /// `None` without a wasmtime command.
    fn start(environment: &Environment) -> anyhow::Result<Option<Self>> {
        let Some(wasmtime) = environment.wasmtime.as_deref() else {
            return Ok(None);
        };
        let component = environment.write("http-service.wat", COMPONENT.as_bytes())?;
        let mut serve = environment.command(wasmtime);
        serve
            .args(["serve", "--addr", "127.0.0.1:0"])
            .arg(component);
        let wasmtime = Server::start(&mut serve)?;
        let mut proxy = environment.own_part("proxy")?;
        proxy.arg(wasmtime.address().to_string());
        Ok(Some(Self {
            wasmtime,
            proxy: Server::start(&mut proxy)?,
        }))
    }
}

/// What one round came to.
struct Round {
    /// Requests a second.
    rate: f64,
    /// The time, in seconds, that one of a hundred requests exceeds.
    slow: f64,
    /// The servers' processor time for a request, in seconds.
    processor: f64,
}

struct Client {
    runtime: Runtime,
    tls: TlsConnector,
    /// Of one round.
    time: Duration,
}

impl Client {
    /// Asks the first of `servers`, behind which the others are.
    fn round(&self, servers: &[&Server], with_tls: bool) -> anyhow::Result<Round> {
        let processor = || {
            let each = servers.iter().map(|server| server.processor_seconds());
            each.sum::<anyhow::Result<f64>>()
        };
        let tls = with_tls.then_some(&self.tls);
        let connections = connections(servers[0].address(), tls);
        let connections = self.runtime.block_on(connections)?;
        let processor_before = processor()?;
        let start = Instant::now();
        let asked = self
            .runtime
            .block_on(ask_all(connections, start + self.time));
        let mut times = asked?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            times.len() >= 100,
            "{} requests in {seconds:.1} s",
            times.len()
        );
        let requests = times.len() as f64;
        let place = times.len() * 99 / 100;
        let (_, slow, _) = times.select_nth_unstable_by(place, f64::total_cmp);
        Ok(Round {
            rate: requests / seconds,
            slow: *slow,
            processor: (processor()? - processor_before) / requests,
        })
    }
}

type Connection = SendRequest<Empty<Bytes>>;

async fn connections(
    address: SocketAddr,
    tls: Option<&TlsConnector>,
) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        connections.push(match tls {
            Some(tls) => begin(tls.connect("localhost".try_into()?, stream).await?).await?,
            None => begin(stream).await?,
        });
    }
    Ok(connections)
}

async fn begin<S>(stream: S) -> anyhow::Result<Connection>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    TokioIo<S>: Read + Write,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Who sends requests sees how it ends.
    tokio::spawn(connection);
    Ok(sender)
}

/// Asks over all connections until `end`; gives how long each answer took, in seconds.
async fn ask_all(connections: Vec<Connection>, end: Instant) -> anyhow::Result<Vec<f64>> {
    let mut clients = JoinSet::new();
    for mut connection in connections {
        clients.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                ask(&mut connection).await?;
                times.push(start.elapsed().as_secs_f64());
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = clients.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

async fn ask(connection: &mut Connection) -> anyhow::Result<()> {
    let request = Request::get("/")
        .header(HOST, "localhost")
        .body(Empty::new())?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(
        status == StatusCode::OK && body == ANSWER,
        "a server answered {status} and {body:?}"
    );
    Ok(())
}
