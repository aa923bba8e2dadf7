//! Collecting from a local server that speaks the vendors' shapes, with real documents.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use enarx_owner_collateral::{
    Bundle, CollectError, Collected, Collector, FetchError, Item, Source, Store, Tee,
};
use enarx_owner_evidence::{
    Evidence, FailureKind, UnixTime,
    materials::{Error, Materials, Roots},
};
use serde_json::Value;
use tempfile::TempDir;

const INTEL_CASE: &str = "tdx-dcap-qvl-tdx_quote-f1c85033-0";
const AMD_CASE: &str = "snp-oak-genoa-v5";

/// A case with the files that it names.
struct Case {
    fields: Value,
    directory: PathBuf,
}

impl Case {
    fn find(id: &str) -> Option<Self> {
        let directory = std::env::var_os("ENARX_VECTORS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
            PathBuf::from,
        );
        let Ok(text) = fs::read(directory.join("cases.json")) else {
            println!("SKIPPED: no test vectors in {}", directory.display());
            return None;
        };
        let document: Value = serde_json::from_slice(&text).unwrap();
        let mut cases = document["cases"].as_array().unwrap().iter();
        let fields = cases.find(|case| case["id"] == id).unwrap().clone();
        Some(Self { fields, directory })
    }

    fn file(&self, role: &str) -> Vec<u8> {
        let path = self.fields["files"][role].as_str().unwrap();
        fs::read(self.directory.join(path)).unwrap()
    }

    fn now(&self) -> UnixTime {
        let text = self.fields["now"].as_str().unwrap();
        let time: x509_cert::der::DateTime = text.parse().unwrap();
        UnixTime(time.unix_duration().as_secs())
    }

    fn materials(&self, role: &str) -> Materials {
        let mut materials = Materials::default();
        materials.add(&self.file(role)).unwrap();
        materials
    }
}

/// What the server has, and what it does before it gives that out.
#[derive(Default)]
struct Service {
    documents: HashMap<String, (HeaderMap, Vec<u8>)>,
    /// Answers that come first, each once.
    refusals: Vec<StatusCode>,
    requests: Vec<String>,
    /// How often the asker had it already.
    unchanged: usize,
}

const TAG: &str = "\"first\"";

type Shared = Arc<Mutex<Service>>;

async fn answer(State(service): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let mut service = service.lock().unwrap();
    let path = uri.to_string();
    service.requests.push(path.clone());
    if let Some(status) = service.refusals.pop() {
        return (status, [("retry-after", "0")]).into_response();
    }
    match service.documents.get(&path) {
        Some((found, _)) if headers.get("if-none-match").is_some_and(|tag| tag == TAG) => {
            assert!(found.get("etag").is_some());
            service.unchanged += 1;
            StatusCode::NOT_MODIFIED.into_response()
        }
        Some((headers, body)) => (headers.clone(), body.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A server, and a cache beside it.
struct Place {
    service: Shared,
    base: String,
    cache: TempDir,
}

impl Place {
    async fn new(documents: HashMap<String, (HeaderMap, Vec<u8>)>) -> Self {
        let service = Shared::default();
        service.lock().unwrap().documents = documents;
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&service));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            service,
            base,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    /// Of Intel's documents, all under the tag [`TAG`].
    async fn with_tags(case: &Case) -> Self {
        let mut documents = intel(case);
        for (headers, _) in documents.values_mut() {
            headers.insert("etag", TAG.parse().unwrap());
        }
        Self::new(documents).await
    }

    /// A new collector each time, as after a restart.
    async fn verify(
        &self,
        materials: &Materials,
        now: UnixTime,
    ) -> Result<Collected, CollectError> {
        self.collector()
            .verify(materials, now, |materials| verify(materials, now))
            .await
    }

    fn collector(&self) -> Collector {
        let source = Source {
            amd: self.base.clone(),
            intel: self.base.clone(),
            intel_root: self.base.clone(),
        };
        let store = Store::open(self.cache.path()).unwrap();
        Collector::new(source, None, store)
            .unwrap()
            .with_first_wait(Duration::from_millis(1))
    }

    fn requests(&self) -> usize {
        self.service.lock().unwrap().requests.len()
    }

    fn kept(&self) -> usize {
        fs::read_dir(self.cache.path()).unwrap().count()
    }
}

fn verify(materials: &Materials, now: UnixTime) -> Result<Evidence, Error> {
    materials.verify(&Roots::genuine(), now)
}

/// A chain as Intel's service has it in a header.
fn header(name: &'static str, certificates: &[Vec<u8>]) -> HeaderMap {
    let pem: String = certificates
        .iter()
        .map(|der| {
            let base64 = STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
        })
        .collect();
    let encoded = percent_encoding::utf8_percent_encode(&pem, percent_encoding::NON_ALPHANUMERIC);
    let value = HeaderValue::from_str(&encoded.to_string()).unwrap();
    HeaderMap::from_iter([(name.parse().unwrap(), value)])
}

fn intel(case: &Case) -> HashMap<String, (HeaderMap, Vec<u8>)> {
    let chain = [case.file("tcb_signing_cert"), case.file("root")];
    let fmspc = "B0C06F000000";
    HashMap::from([
        (
            format!("/tdx/certification/v4/tcb?fmspc={fmspc}"),
            (
                header("tcb-info-issuer-chain", &chain),
                case.file("tcb_info"),
            ),
        ),
        (
            "/tdx/certification/v4/qe/identity".to_owned(),
            (
                header("sgx-enclave-identity-issuer-chain", &chain),
                case.file("qe_identity"),
            ),
        ),
        (
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der".to_owned(),
            (
                header("sgx-pck-crl-issuer-chain", &chain[1..]),
                case.file("pck_crl"),
            ),
        ),
        (
            "/IntelSGXRootCA.der".to_owned(),
            (HeaderMap::new(), case.file("root_crl")),
        ),
    ])
}

#[tokio::test]
async fn what_a_quote_needs_is_fetched_once() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    let quote = case.materials("quote");
    let first = place.verify(&quote, case.now()).await.unwrap();
    let evidence = first.evidence.unwrap();
    assert_eq!(evidence.summary().tcb_status, Some("UpToDate"));
    assert!(evidence.summary().revocation_checked);
    assert_eq!((first.fetched, place.requests(), place.kept()), (4, 4, 4));
    let second = place.verify(&quote, case.now()).await.unwrap();
    assert!(second.evidence.is_ok());
    assert_eq!((second.fetched, place.requests()), (0, 4));
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    place.service.lock().unwrap().refusals = vec![
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let collected = place.verify(&case.materials("quote"), case.now()).await;
    assert!(collected.unwrap().evidence.is_ok());
    assert_eq!(place.requests(), 4 + 3);
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    place.service.lock().unwrap().refusals = vec![StatusCode::BAD_GATEWAY; 99];
    let collected = place.verify(&case.materials("quote"), case.now()).await;
    let error = collected.unwrap_err();
    assert!(
        matches!(
            error,
            CollectError::Fetch(FetchError::Status { status: 502, .. })
        ),
        "{error}"
    );
    assert_eq!((place.requests(), place.kept()), (5, 0));
}

#[tokio::test]
async fn stale_answers_are_not_kept() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    let quote = case.materials("quote");
    let late = UnixTime(case.now().0 + 365 * 24 * 60 * 60);
    for _ in 0..2 {
        let collected = place.verify(&quote, late).await.unwrap();
        let error = collected.evidence.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
        assert_eq!((collected.fetched, place.kept()), (4, 0));
    }
    // What was kept while it held is fetched anew when it does not any more.
    assert!(
        place
            .verify(&quote, case.now())
            .await
            .unwrap()
            .evidence
            .is_ok()
    );
    let collected = place.verify(&quote, late).await.unwrap();
    assert_eq!(collected.fetched, 4);
    // And the service's stale answers replaced nothing.
    let again = place.verify(&quote, case.now()).await.unwrap();
    assert_eq!((again.evidence.is_ok(), again.fetched), (true, 0));
}

#[tokio::test]
async fn forged_answers_are_not_kept() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    for path in intel(&case).keys() {
        let mut documents = intel(&case);
        let (_, body) = documents.get_mut(path).unwrap();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        let place = Place::new(documents).await;
        let collected = place.verify(&case.materials("quote"), case.now()).await;
        assert!(collected.unwrap().evidence.is_err(), "{path}");
        assert_eq!(place.kept(), 0, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_asked_for_evidence_that_is_forged() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    let mut quote = case.file("quote");
    quote[200] ^= 1;
    let mut materials = Materials::default();
    materials.add(&quote).unwrap();
    let collected = place.verify(&materials, case.now()).await.unwrap();
    assert_eq!(
        collected.evidence.unwrap_err().kind(),
        FailureKind::NotGenuine
    );
    assert_eq!(place.requests(), 0);
}

/// AMD's revocation list is not among the vectors, so the service has none to give here.
#[tokio::test]
async fn what_the_vendor_does_not_know_is_said() {
    let Some(case) = Case::find(AMD_CASE) else {
        return;
    };
    let place = Place::new(HashMap::new()).await;
    let collected = place.verify(&case.materials("report"), case.now()).await;
    let error = collected.unwrap_err();
    assert!(
        matches!(error, CollectError::Fetch(FetchError::Unknown { .. })),
        "{error}"
    );
    let asked = place.service.lock().unwrap().requests.clone();
    assert_eq!(asked, ["/vcek/v1/Genoa/crl"]);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::with_tags(&case).await;
    let quote = case.materials("quote");
    assert_eq!(place.verify(&quote, case.now()).await.unwrap().fetched, 4);
    // One that was lost is fetched; the others are only asked for.
    let lost = fs::read_dir(place.cache.path()).unwrap().next().unwrap();
    fs::remove_file(lost.unwrap().path()).unwrap();
    let collected = place.verify(&quote, case.now()).await.unwrap();
    assert!(collected.evidence.is_ok());
    assert_eq!((collected.fetched, place.kept()), (1, 4));
    assert_eq!(place.service.lock().unwrap().unchanged, 3);
}

#[tokio::test]
async fn a_tag_that_means_something_else_is_seen_through() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::with_tags(&case).await;
    let quote = case.materials("quote");
    place.verify(&quote, case.now()).await.unwrap();
    // The store has something else under the tag; with one lost, all are asked for.
    let store = Store::open(place.cache.path()).unwrap();
    let keys = store.keys().unwrap();
    let identity = Item::QeIdentity(Tee::Tdx);
    let mut entry = store.get(&identity).unwrap().unwrap();
    entry.body = b"{}".to_vec();
    store.put(&identity, &entry).unwrap();
    let collected = place.verify(&quote, case.now()).await.unwrap();
    assert!(collected.evidence.is_ok());
    assert_eq!((collected.fetched, store.keys().unwrap()), (4, keys));
}

#[tokio::test]
async fn a_service_is_asked_once_by_many() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    let collector = place.collector();
    let quote = case.materials("quote");
    let verify = || collector.verify(&quote, case.now(), |all| verify(all, case.now()));
    let (first, second, third) = tokio::join!(verify(), verify(), verify());
    let fetched: usize = [first, second, third]
        .into_iter()
        .map(|collected| {
            let collected = collected.unwrap();
            assert!(collected.evidence.is_ok());
            collected.fetched
        })
        .sum();
    assert_eq!((fetched, place.requests()), (4, 4));
}

#[tokio::test]
async fn a_bundle_serves_an_owner_without_a_network() {
    let Some(case) = Case::find(INTEL_CASE) else {
        return;
    };
    let place = Place::new(intel(&case)).await;
    let quote = case.materials("quote");
    place.verify(&quote, case.now()).await.unwrap();
    let bundle = Bundle::export(&Store::open(place.cache.path()).unwrap()).unwrap();
    let bundle = Bundle::from_slice(&bundle.to_vec().unwrap()).unwrap();
    assert_eq!(bundle.entries().len(), 4);

    let elsewhere = tempfile::tempdir().unwrap();
    let store = || Store::open(elsewhere.path()).unwrap();
    let offline = || async {
        let verify = |all: &Materials| verify(all, case.now());
        let collector = Collector::offline(store());
        let collected = collector.verify(&quote, case.now(), verify).await;
        collected.unwrap().evidence
    };
    let error = offline().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Collateral);
    assert_eq!(bundle.import(&store(), case.now()).unwrap(), 4);
    assert!(offline().await.is_ok());
    assert_eq!(place.requests(), 4);
}
