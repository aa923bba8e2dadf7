//! Figures for Prometheus, in the OpenMetrics text format.

use enarx_wire_host_api::{EndKind, KeepState};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Every figure of a service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    keeps: Family<StateLabel, Gauge>,
    memory_bytes: Gauge,
    keeps_started: Family<BackendLabel, Counter>,
    keeps_ended: Family<KindLabel, Counter>,
    requests: Family<RequestLabel, Counter>,
    request_seconds: Family<OperationLabel, Histogram, fn() -> Histogram>,
    pub(crate) start_failures: Counter,
    pub(crate) launch_seconds: Histogram,
    pub(crate) offer_seconds: Histogram,
    pub(crate) package_seconds: Histogram,
    pub(crate) package_bytes: Counter,
    pub(crate) input_frames: Counter,
    pub(crate) input_bytes: Counter,
    pub(crate) output_frames: Counter,
    pub(crate) output_bytes: Counter,
    pub(crate) output_dropped_frames: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabel {
    backend: String,
    simulated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    operation: &'static str,
    status: u16,
}

/// 100 microseconds to about 26 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 10))
}

impl Metrics {
    /// All figures at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("enarx_host"),
            keeps: Family::default(),
            memory_bytes: Gauge::default(),
            keeps_started: Family::default(),
            keeps_ended: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            start_failures: Counter::default(),
            launch_seconds: seconds(),
            offer_seconds: seconds(),
            package_seconds: seconds(),
            package_bytes: Counter::default(),
            input_frames: Counter::default(),
            input_bytes: Counter::default(),
            output_frames: Counter::default(),
            output_bytes: Counter::default(),
            output_dropped_frames: Counter::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("keeps", "Keeps by state", self.keeps.clone());
        registry.register_with_unit(
            "keeps_memory",
            "Memory of the living Keeps",
            Unit::Bytes,
            self.memory_bytes.clone(),
        );
        registry.register("keeps_started", "Keeps started", self.keeps_started.clone());
        registry.register(
            "keeps_ended",
            "Keeps ended, by kind of end",
            self.keeps_ended.clone(),
        );
        registry.register(
            "keep_start_failures",
            "Keeps that were asked for and did not start",
            self.start_failures.clone(),
        );
        for (name, help, histogram) in [
            (
                "launch_duration",
                "Time to launch a Keep",
                &self.launch_seconds,
            ),
            (
                "offer_duration",
                "Time from a Keep's start to its offer",
                &self.offer_seconds,
            ),
            (
                "package_duration",
                "Time to relay a package",
                &self.package_seconds,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        for (name, help, counter) in [
            ("package", "Package bytes relayed", &self.package_bytes),
            (
                "input",
                "Bytes of session frames relayed to Keeps",
                &self.input_bytes,
            ),
            (
                "output",
                "Bytes of session frames from Keeps",
                &self.output_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        for (name, help, counter) in [
            (
                "input_frames",
                "Session frames relayed to Keeps",
                &self.input_frames,
            ),
            (
                "output_frames",
                "Session frames from Keeps",
                &self.output_frames,
            ),
            (
                "output_dropped_frames",
                "Session frames dropped to make room for newer ones",
                &self.output_dropped_frames,
            ),
            (
                "connections_refused",
                "Connections closed because there were too many",
                &self.connections_refused,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "requests",
            "Requests answered, by operation and status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
    }

    /// Notes that a Keep was started.
    pub(crate) fn keep_started(&self, backend: &str, simulated: bool) {
        let backend = backend.into();
        self.keeps_started
            .get_or_create(&BackendLabel { backend, simulated })
            .inc();
    }

    /// Notes that a Keep ended.
    pub(crate) fn keep_ended(&self, kind: EndKind) {
        let kind = kind.as_str();
        self.keeps_ended.get_or_create(&KindLabel { kind }).inc();
    }

    /// Notes that a request was answered.
    pub(crate) fn request_answered(&self, operation: &'static str, status: u16, seconds: f64) {
        self.requests
            .get_or_create(&RequestLabel { operation, status })
            .inc();
        self.request_seconds
            .get_or_create(&OperationLabel { operation })
            .observe(seconds);
    }

    /// All figures as text. `states` are those of every Keep, `memory_bytes` is
    /// that of the living ones.
    pub(crate) fn text(&self, states: &[KeepState], memory_bytes: u64) -> String {
        for state in KeepState::ALL {
            let count = states.iter().filter(|other| **other == state).count();
            self.keeps
                .get_or_create(&StateLabel {
                    state: state.as_str(),
                })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.memory_bytes
            .set(i64::try_from(memory_bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // A `String` takes whatever is written to it.
            text.clear();
        }
        text
    }
}
