//! Bytes through a program and back, over TLS.

use std::time::Instant;

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsConnector;

use crate::{
    environment::Environment,
    options::Benchmark,
    quantity::Quantity,
    report::{Figure, Promise, Section},
    sample::{Contender, Sample, interleaved},
    server::Server,
    tls,
};

/// Sends back what comes.
const PROGRAM: &str = include_str!("../programs/echo.wat");

const CONFIGURATION: &str = r#"
[[files]]
kind = "stdin"
[[files]]
kind = "stdout"
[[files]]
kind = "stderr"
[[files]]
kind = "listen"
name = "echo"
addr = "127.0.0.1"
port = 0

[tls]
certificate = "certificate.pem"
key = "key.pem"
"#;

/// Measures a program in a Keep and a native one.
///
/// # Errors
///
/// When a server does not start, or sends back something else.
pub fn run(environment: &Environment) -> anyhow::Result<Section> {
    let mut section = Section::new(Benchmark::Bulk.title());
    let keep = &Server::keep(environment, "echo", CONFIGURATION, PROGRAM)?;
    let native = &Server::start(&mut environment.own_part("echo")?)?;
    let client = &Client {
        runtime: Builder::new_current_thread().enable_io().build()?,
        tls: tls::client()?,
        bytes: if environment.quick {
            128 << 20
        } else {
            512 << 20
        },
    };
    let contenders: Vec<Contender<'_, Round>> = vec![
        Box::new(|| client.round(keep)),
        Box::new(|| client.round(native)),
    ];
    let rounds = interleaved(environment.rounds(6), contenders)?;

    let figure = |what: &str, unit: fn(f64) -> Quantity, part: fn(&Round) -> f64| {
        let [ours, theirs] =
            [0, 1].map(|contender| Sample::new(rounds[contender].iter().map(part)));
        Figure::of_samples(what, unit, &ours, "rustls, native", Some(&theirs))
    };
    section.figures = vec![
        figure(
            "there and back, one connection",
            Quantity::BytesPerSecond,
            |round| round.speed,
        )
        .promised(Promise::RatioAtLeast(0.9)),
        figure("  processor time of a GB", Quantity::Seconds, |round| {
            round.processor
        }),
    ];
    section.notes.push(
        "both read and write 64 KiB at a time; the client is on the same machine, and its work is not in processor time"
            .into(),
    );
    Ok(section)
}

/// What one round came to.
struct Round {
    /// Bytes a second, each counted once.
    speed: f64,
    /// The server's processor time for 10^9 bytes, in seconds.
    processor: f64,
}

struct Client {
    runtime: Runtime,
    tls: TlsConnector,
    /// Of one round.
    bytes: usize,
}

/// Bytes that the client sends at a time.
const CHUNK: usize = 64 << 10;

impl Client {
    fn round(&self, server: &Server) -> anyhow::Result<Round> {
        let before = server.processor_seconds()?;
        let seconds = self.runtime.block_on(self.exchange(server))?;
        let processor = server.processor_seconds()? - before;
        let bytes = self.bytes as f64;
        Ok(Round {
            speed: bytes / seconds,
            processor: processor / bytes * 1e9,
        })
    }

    /// Sends all bytes, and has them back in as many seconds.
    async fn exchange(&self, server: &Server) -> anyhow::Result<f64> {
        let stream = TcpStream::connect(server.address()).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect("localhost".try_into()?, stream).await?;
        let (mut reader, mut writer) = split(stream);
        let pattern: Vec<u8> = (0..CHUNK).map(|index| (index * 31 % 251) as u8).collect();
        let start = Instant::now();
        let sending = async {
            for _ in 0..self.bytes / CHUNK {
                writer.write_all(&pattern).await?;
            }
            writer.shutdown().await
        };
        let receiving = async {
            let mut buffer = vec![0; CHUNK];
            for _ in 0..self.bytes / CHUNK {
                reader.read_exact(&mut buffer).await?;
                ensure!(buffer == pattern, "other bytes came back than were sent");
            }
            let more = reader.read(&mut buffer).await?;
            ensure!(more == 0, "more bytes came back than were sent");
            Ok(())
        };
        let (sent, received) = tokio::join!(sending, receiving);
        sent?;
        received?;
        Ok(start.elapsed().as_secs_f64())
    }
}
