//! The owner's first stage against a host with a simulated SGX machine.

use std::sync::Mutex;

use enarx_host_simulator::sgx::{EnclaveIdentity, Endorsements, Machine};
use enarx_owner_appraisal::{AcceptedMeasurement, Level, Policy, Profile};
use enarx_owner_collateral::{Authority, Collector, Entry, Item, Store, Tee};
use enarx_owner_deployer::{
    AttestError, Attested, Expectations, HostConnection, HostError, KeepRequest, OutputStream,
    PackageStream, Silent, SystemRandom, attest,
};
use enarx_owner_evidence::dcap;
use enarx_wire_host_api::{
    Endorsement, EndorsementKind, HostInfo, KeepId, KeepInfo, KeepState, OfferResponse,
    StartRequest, StartedKeep,
};
use enarx_wire_launch::{EvidenceFormat, KeepImage, Platform};
use enarx_wire_provision::{Attester, KeepDescription, SingleUseKeys};
use enarx_wire_target::{CompileTarget, MemoryStrategy};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, ready},
    stream::BoxStream,
};

use x509_cert::der::pem::{self, LineEnding};

use crate::machine::{HOST_DATA, MRENCLAVE, enclave, machine, now, other_machine, quote};

const MEMORY: u64 = 256 << 20;
const KEEP: KeepId = KeepId::from_bytes([1; 16]);

/// A host that can be told how to misbehave.
struct Host {
    machine: &'static Machine,
    endorsements: Endorsements,
    enclave: EnclaveIdentity,
    platform: Platform,
    evidence: EvidenceFormat,
    /// Made for other claims than those that are offered.
    replayed: bool,
    /// It gives no endorsements, as hosts of hardware do.
    unendorsed: bool,
    started: Mutex<Option<StartRequest>>,
    stopped: Mutex<bool>,
}

impl Host {
    fn honest() -> Self {
        Self {
            machine: machine(),
            endorsements: machine().endorsements().clone(),
            enclave: enclave(),
            platform: Platform::Sgx,
            evidence: EvidenceFormat::SgxQuote,
            replayed: false,
            unendorsed: false,
            started: Mutex::default(),
            stopped: Mutex::default(),
        }
    }

    fn info_of_keep(&self) -> KeepInfo {
        KeepInfo {
            id: KEEP,
            name: None,
            backend: "sgx".to_owned(),
            simulated: true,
            state: KeepState::Started,
            started_at: "2026-01-01T00:00:00.000Z".to_owned(),
            ended_at: None,
            end: None,
            memory_bytes: MEMORY,
            package_bytes: 0,
            input_frames: 0,
            input_bytes: 0,
            output_frames: 0,
            output_bytes: 0,
            output_first_frame: 0,
        }
    }
}

impl HostConnection for Host {
    fn info(&self) -> BoxFuture<'_, Result<HostInfo, HostError>> {
        unused()
    }

    fn start(&self, request: StartRequest) -> BoxFuture<'_, Result<StartedKeep, HostError>> {
        *self.started.lock().unwrap() = Some(request);
        let endorsements = self.endorsements.clone();
        let endorsements = [
            (EndorsementKind::DcapRoot, endorsements.root),
            (EndorsementKind::DcapTcbSigning, endorsements.tcb_signing),
            (EndorsementKind::DcapTcbInfo, endorsements.tcb_info),
            (EndorsementKind::DcapQeIdentity, endorsements.qe_identity),
            (
                EndorsementKind::DcapRootRevocations,
                endorsements.root_revocations,
            ),
            (
                EndorsementKind::DcapPckRevocations,
                endorsements.pck_revocations,
            ),
        ];
        let mut endorsements = endorsements
            .map(|(kind, bytes)| Endorsement { kind, bytes })
            .to_vec();
        if self.unendorsed {
            endorsements.clear();
        }
        let started = StartedKeep {
            keep: self.info_of_keep(),
            endorsements,
        };
        ready(Ok(started)).boxed()
    }

    fn offer(&self, _: KeepId) -> BoxFuture<'_, Result<OfferResponse, HostError>> {
        let request = self.started.lock().unwrap().clone().unwrap();
        let description = KeepDescription {
            platform: self.platform.as_str().to_owned(),
            evidence: self.evidence.as_str().to_owned(),
            runtime: [0; 48],
            memory_bytes: MEMORY,
            target: CompileTarget::detect(MemoryStrategy::GuardPages).unwrap(),
        };
        let nonce = request.nonce.0;
        let keys = SingleUseKeys::generate(&mut SystemRandom::new());
        let attester = Attester::new(description, nonce, keys).unwrap();
        let mut report_data = attester.report_data();
        if self.replayed {
            report_data[0] ^= 1;
        }
        let evidence = quote(self.machine, &self.enclave, &report_data);
        let offer = attester.offer(evidence).encode().unwrap();
        ready(Ok(OfferResponse { offer })).boxed()
    }

    fn provision(&self, _: KeepId, _: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
        unused()
    }

    fn package(&self, _: KeepId, _: PackageStream) -> BoxFuture<'_, Result<(), HostError>> {
        unused()
    }

    fn output(&self, _: KeepId, _: u64, _: bool) -> BoxFuture<'_, Result<OutputStream, HostError>> {
        unused()
    }

    fn input(
        &self,
        _: KeepId,
        _: BoxStream<'static, Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        unused()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeepInfo>, HostError>> {
        unused()
    }

    fn inspect(&self, _: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        unused()
    }

    fn stop(&self, _: KeepId) -> BoxFuture<'_, Result<KeepInfo, HostError>> {
        *self.stopped.lock().unwrap() = true;
        ready(Ok(self.info_of_keep())).boxed()
    }
}

/// The first stage asks a host for nothing else.
fn unused<T>() -> T {
    panic!("this is no part of attestation")
}

fn attested(host: &Host) -> Result<Attested, AttestError> {
    attested_with(host, None)
}

fn attested_with(host: &Host, collector: Option<&Collector>) -> Result<Attested, AttestError> {
    let policy = Policy {
        measurements: vec![AcceptedMeasurement::Value(MRENCLAVE.to_vec())],
        host_data: Some(HOST_DATA),
        ..Profile::Simulation.policy()
    };
    let image = KeepImage {
        runtime: b"",
        runtime_digest: [0; 48],
        sgx: enarx_wire_launch::SgxImage::default(),
        vm: enarx_wire_launch::VmImage::default(),
    };
    let request = KeepRequest {
        backend: "sgx".to_owned(),
        simulate: true,
        memory_bytes: MEMORY,
        bounded_memory: false,
        cpu_seconds: None,
        network: false,
        name: None,
    };
    let expectations = Expectations {
        policy: &policy,
        image,
        collector,
        now: now(),
        suite: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(attest(host, &request, &expectations, &Silent))
}

#[test]
fn an_honest_hosts_keep_is_accepted() {
    let host = Host::honest();
    let attested = attested(&host).unwrap();
    assert_eq!(attested.accepted().verdict().level(), Level::Simulated);
    assert_eq!(attested.claims().evidence, "sgx-quote");
    let asked = host.started.lock().unwrap().clone().unwrap();
    assert_eq!(asked.host_data.unwrap().0, HOST_DATA);
    assert!(!*host.stopped.lock().unwrap());
}

#[test]
fn each_lie_of_a_host_is_found_and_ends_the_keep() {
    type Lie = fn(&mut Host);
    let lies: [(&str, Lie); 8] = [
        ("report data", |host| host.replayed = true),
        ("measurement", |host| host.enclave.mrenclave[31] ^= 1),
        ("host data", |host| host.enclave.config_id[0] ^= 1),
        ("debug", |host| host.enclave.attributes.flags |= 2),
        ("evidence", |host| host.machine = other_machine()),
        ("evidence", |host| host.endorsements.tcb_info.clear()),
        ("evidence", |host| host.evidence = EvidenceFormat::SnpReport),
        ("platform evidence", |host| host.platform = Platform::Snp),
    ];
    for (failure, lie) in lies {
        let mut host = Host::honest();
        lie(&mut host);
        let AttestError::Rejected(rejected) = attested(&host).unwrap_err() else {
            panic!("{failure}: not appraised");
        };
        let mut checks = rejected.verdict().checks().iter();
        assert!(
            checks.any(|check| check.name == failure && !check.passed),
            "{failure}"
        );
        assert!(*host.stopped.lock().unwrap(), "{failure}");
    }
}

/// What the vendor publishes, as an owner keeps it.
fn collected(endorsements: &Endorsements, directory: &std::path::Path) -> Collector {
    let store = Store::open(directory).unwrap();
    let chain: String = [&endorsements.tcb_signing, &endorsements.root]
        .map(|der| pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap())
        .concat();
    let quote = quote(machine(), &enclave(), &[0; 64]);
    let quote = dcap::Quote::parse(&quote).unwrap();
    let fmspc = quote.claimed_platform().unwrap().0.fmspc;
    let tee = Tee::Sgx;
    for (item, body) in [
        (Item::TcbInfo { tee, fmspc }, &endorsements.tcb_info),
        (Item::QeIdentity(tee), &endorsements.qe_identity),
        (
            Item::PckCrl(Authority::Platform),
            &endorsements.pck_revocations,
        ),
        (
            Item::PckCrl(Authority::Processor),
            &endorsements.pck_revocations,
        ),
        (Item::IntelRootCrl, &endorsements.root_revocations),
    ] {
        let entry = Entry {
            body: body.clone(),
            issuer_chain: Some(chain.clone()),
            fetched_at: now().0,
            etag: None,
        };
        store.put(&item, &entry).unwrap();
    }
    Collector::offline(store)
}

#[test]
fn an_owner_has_what_a_host_of_hardware_does_not_give() {
    let directory = tempfile::tempdir().unwrap();
    let collector = collected(machine().endorsements(), directory.path());
    let unendorsed = || Host {
        unendorsed: true,
        ..Host::honest()
    };
    assert!(attested(&unendorsed()).is_err());
    let attested = attested_with(&unendorsed(), Some(&collector)).unwrap();
    assert_eq!(attested.accepted().verdict().level(), Level::Simulated);

    // It makes no lie true, and not another machine's.
    type Lie = fn(&mut Host);
    let lies: [Lie; 4] = [
        |host| host.replayed = true,
        |host| host.enclave.mrenclave[31] ^= 1,
        |host| host.machine = other_machine(),
        |host| host.evidence = EvidenceFormat::SnpReport,
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let mut host = unendorsed();
        lie(&mut host);
        let error = attested_with(&host, Some(&collector)).unwrap_err();
        assert!(matches!(error, AttestError::Rejected(_)), "{index}");
    }
    let empty = tempfile::tempdir().unwrap();
    let empty = Collector::offline(Store::open(empty.path()).unwrap());
    assert!(attested_with(&unendorsed(), Some(&empty)).is_err());
}
