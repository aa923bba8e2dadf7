//! `enarx host serve`: the host's HTTP service.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use enarx_host_agent::{
    Limits, Service,
    http::{Access, AccessToken, ServeOptions, TlsIdentity, serve, termination},
};
use enarx_owner_deployer::application::{parse_bytes, parse_duration};
use tokio::net::TcpListener;

use crate::{
    console::{Console, Level, LogFormat},
    exit::Status,
    failure::{Advice, WithAdvice as _},
    local_host::{Confinement, LocalLauncher, Note},
};

/// Start Keeps for owners who connect over HTTP
///
/// The service starts Keeps and relays ciphertext between them and their owners. It needs
/// no trust: it sees sizes and times, and nothing else. SIGTERM or Ctrl-C ends it in
/// order, and every Keep with it. Besides the interface for `enarx deploy`, /healthz,
/// /metrics (Prometheus) and /openapi.json are served.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  enarx host serve
  enarx host serve --network               for applications that listen or connect
  enarx host serve --listen 0.0.0.0:7363 --token-file token \\
      --tls-certificate host.pem --tls-key host.key

A token, and a certificate for --tls-certificate and --tls-key, which owners name with
--tls-authorities host.pem:
  openssl rand -hex 32 > token
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \\
      -subj /CN=host -addext subjectAltName=DNS:host.example,IP:192.0.2.1 \\
      -addext basicConstraints=critical,CA:FALSE -keyout host.key -out host.pem")]
pub struct Arguments {
    /// Where to listen
    ///
    /// Port 0 takes any free port; the log says which.
    #[arg(short, long, value_name = "ADDRESS", default_value = "127.0.0.1:7363")]
    listen: SocketAddr,

    /// A file with the token that callers must send
    ///
    /// At least 16 letters and digits. Without one, whoever reaches the address can
    /// start Keeps, and calls this machine by its IP address or `localhost`.
    #[arg(long, value_name = "FILE", env = "ENARX_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// Certificate chain for TLS, in PEM
    ///
    /// The host's own certificate first. It must name the address that owners use. The
    /// examples below make one.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// Private key for TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Start Keeps where the machine does not permit namespaces
    ///
    /// Such a Keep can open every file that this service can. Whoever may start Keeps
    /// decides what machine code runs in them.
    #[arg(long)]
    without_namespaces: bool,

    /// Patch simulated enclaves after they were measured
    ///
    /// That makes them quicker, and less like hardware. Of enclaves in hardware nothing is
    /// ever changed.
    #[arg(long)]
    fast: bool,

    /// Let Keeps use this machine's network
    ///
    /// A Keep whose application asks for it can then listen on and connect to whatever this
    /// machine can; which of that it does, its owner's package decides. Without it, such
    /// Keeps are refused.
    #[arg(long)]
    network: bool,

    #[command(flatten)]
    limits: LimitArguments,

    /// How a line of the log is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
}

/// What the host allows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct LimitArguments {
    /// Keeps that may live at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().keeps)]
    max_keeps: usize,

    /// Memory of one Keep
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "4GiB")]
    max_keep_memory: u64,

    /// Memory of all Keeps together
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "16GiB")]
    max_total_memory: u64,

    /// Size of one package
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "8GiB")]
    max_package: u64,

    /// How long a Keep waits for its owner's next step before it runs
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    idle_time: Duration,

    /// Output that is held for each Keep, so that it can be read later
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "4MiB")]
    output_size: u64,

    /// How long an ended Keep's output stays readable
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
    retention_time: Duration,
}

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        console.start_log(Level::Info, self.log_format);
        let options = self.options()?;
        if matches!(options.access, Access::Anyone) && !self.listen.ip().is_loopback() {
            console.warn(format_args!(
                "whoever reaches {} can start Keeps here; --token-file restricts it",
                self.listen
            ));
        }
        if matches!(options.access, Access::Anyone) && self.network {
            console.warn(
                "whoever starts a Keep here reaches what this machine reaches: its own services on \
                 the loopback interface, this one among them, and the network around it; \
                 --token-file restricts who can",
            );
        }
        let note: Note = Box::new(|text| tracing::info!("{text}"));
        let service_limits = Limits {
            network: self.network,
            ..self.limits.limits()
        };
        let (listen, fast) = (self.listen, self.fast);
        let confinement = if self.without_namespaces {
            Confinement::BestEffort
        } else {
            Confinement::Namespaces
        };
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the service's threads")?
            .block_on(async move {
                let launcher = LocalLauncher::new(confinement, note)?.with_fast_enclaves(fast);
                let service = Service::new(Arc::new(launcher), service_limits);
                let stop = termination().context("cannot wait for signals")?;
                let listener = TcpListener::bind(listen).await.with_advice(|| {
                    (
                        format!("cannot listen on {listen}"),
                        "choose another address with --listen; port 0 takes any free port",
                    )
                })?;
                serve(service, listener, options, stop).await?;
                Ok(Status::SUCCESS)
            })
    }

    fn options(&self) -> anyhow::Result<ServeOptions> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_advice(|| {
                (
                    format!("cannot read {}", path.display()),
                    "`enarx host serve --help` shows how to make a certificate and its key",
                )
            })
        };
        let access = match &self.token_file {
            None => Access::Anyone,
            Some(path) => {
                let text = std::fs::read_to_string(path).with_advice(|| {
                    (
                        format!("cannot read the token in {}", path.display()),
                        "make one with: openssl rand -hex 32 > FILE",
                    )
                })?;
                Access::Token(AccessToken::new(text).map_err(|error| {
                    Advice::error(
                        format!("{}: {error}", path.display()),
                        "make one with: openssl rand -hex 32 > FILE",
                    )
                })?)
            }
        };
        let mut options = ServeOptions::new(access);
        if let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            let identity = TlsIdentity::from_pem(&read(certificate)?, &read(key)?);
            options.tls = Some(identity.with_advice(|| {
                (
                    "the certificate and its key cannot be used",
                    "`enarx host serve --help` shows how to make a certificate and its key",
                )
            })?);
        }
        Ok(options)
    }
}

impl LimitArguments {
    fn limits(&self) -> Limits {
        Limits {
            keeps: self.max_keeps,
            memory_bytes_per_keep: self.max_keep_memory,
            memory_bytes_total: self.max_total_memory,
            package_bytes: self.max_package,
            idle_time: Some(self.idle_time),
            output_bytes: usize::try_from(self.output_size).unwrap_or(usize::MAX),
            retention_time: self.retention_time,
            ..Limits::default()
        }
    }
}
