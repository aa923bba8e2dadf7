//! Getting what a piece of evidence needs.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use enarx_owner_evidence::{
    Evidence, FailureKind, UnixTime, dcap,
    materials::{self, Materials},
    snp::{Product, Report, SigningKey},
};
use reqwest::{Certificate, Client, redirect::Policy};
use tokio::sync::Mutex;

use crate::{Answer, Authority, Entry, FetchError, Item, Source, Store, StoreError, Tee, fetch};

/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait that a service can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Attempts after the first one.
const RETRIES: usize = 4;

/// Gets what evidence needs: from the store as long as that verifies, else from the
/// vendors' services.
#[derive(Debug)]
pub struct Collector {
    services: Option<Services>,
    store: Store,
    first_wait: Duration,
    /// Held while services are asked: they are asked for one document after the other, and
    /// who waited finds in the store what another has fetched.
    asking: Mutex<()>,
}

#[derive(Debug)]
struct Services {
    client: Client,
    source: Source,
}

/// What was got, and what verification with it came to.
#[derive(Debug)]
pub struct Collected {
    /// The result of verification.
    pub evidence: Result<Evidence, materials::Error>,
    /// How many documents were fetched; none when the store had all.
    pub fetched: usize,
}

/// Whether a service is told which versions are there already.
#[derive(Debug, Clone, Copy)]
enum Tags {
    Sent,
    Withheld,
}

impl Collected {
    fn stored(evidence: Result<Evidence, materials::Error>) -> Self {
        Self {
            evidence,
            fetched: 0,
        }
    }
}

/// Why collateral was not got.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The evidence does not tell what it needs.
    #[error("the evidence does not tell which collateral it needs: {0}")]
    Evidence(&'static str),
    /// A service failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authorities for TLS are no certificates in PEM.
    #[error("the authorities for the services cannot be read: {0}")]
    Authorities(reqwest::Error),
    /// No HTTP client could be made.
    #[error("no connections can be made: {0}")]
    Client(reqwest::Error),
}

impl Collector {
    /// A collector that asks `source`, and keeps what verifies in `store`. `authorities`,
    /// certificates in PEM, are believed about a service's TLS certificate beside those of
    /// the system.
    ///
    /// # Errors
    ///
    /// [`CollectError::Authorities`] and [`CollectError::Client`].
    pub fn new(
        source: Source,
        authorities: Option<&[u8]>,
        store: Store,
    ) -> Result<Self, CollectError> {
        let authorities = match authorities {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(CollectError::Authorities)?,
            None => Vec::new(),
        };
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .tls_certs_merge(authorities)
            .build()
            .map_err(CollectError::Client)?;
        Ok(Self {
            services: Some(Services { client, source }),
            ..Self::offline(store)
        })
    }

    /// A collector that asks nobody, and has only what is in `store`.
    #[must_use]
    pub fn offline(store: Store) -> Self {
        Self {
            services: None,
            store,
            first_wait: Duration::from_secs(1),
            asking: Mutex::new(()),
        }
    }

    /// The same with another wait before a request is repeated for the first time; each
    /// further wait is twice as long.
    #[must_use]
    pub fn with_first_wait(self, first_wait: Duration) -> Self {
        Self { first_wait, ..self }
    }

    /// Verifies the evidence in `materials` by `verify`, with what it lacks from the store or
    /// the services added. What was fetched is kept only when the evidence then verifies.
    ///
    /// # Errors
    ///
    /// [`CollectError`] when something could not be got. That evidence does not verify with
    /// what was got is no error of collecting.
    pub async fn verify(
        &self,
        materials: &Materials,
        now: UnixTime,
        verify: impl Fn(&Materials) -> Result<Evidence, materials::Error>,
    ) -> Result<Collected, CollectError> {
        let first = verify(materials);
        if !is_lacking(&first) {
            return Ok(Collected::stored(first));
        }
        let needed = match (needed(materials), &self.services) {
            (Ok(needed), _) => needed,
            (Err(_), None) => return Ok(Collected::stored(first)),
            (Err(error), Some(_)) => return Err(error),
        };
        let mut last = None;
        for items in needed {
            if let Some(stored) = self.verify_stored(materials, &items, &verify)? {
                return Ok(stored);
            }
            let Some(services) = &self.services else {
                continue;
            };
            let _asking = self.asking.lock().await;
            if let Some(stored) = self.verify_stored(materials, &items, &verify)? {
                return Ok(stored);
            }
            let fetch = |tags| self.verify_fetched(services, materials, &items, tags, now, &verify);
            let mut fetched = fetch(Tags::Sent).await;
            // Another service may call another version the same.
            if matches!(&fetched, Ok(collected) if is_lacking(&collected.evidence)
                && collected.fetched < items.len())
            {
                fetched = fetch(Tags::Withheld).await;
            }
            match fetched {
                Err(CollectError::Fetch(error @ FetchError::Unknown { .. })) => {
                    last = Some(error);
                }
                other => return other,
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => Ok(Collected::stored(first)),
        }
    }

    /// Verifies with what the store has of `items`, if that suffices.
    fn verify_stored(
        &self,
        materials: &Materials,
        items: &[Item],
        verify: &impl Fn(&Materials) -> Result<Evidence, materials::Error>,
    ) -> Result<Option<Collected>, StoreError> {
        let stored = items.iter().map(|item| self.store.get(item));
        let stored: Vec<Entry> = stored
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        let evidence = verify(&with(materials, &stored));
        Ok((!is_lacking(&evidence)).then(|| Collected::stored(evidence)))
    }

    async fn verify_fetched(
        &self,
        services: &Services,
        materials: &Materials,
        items: &[Item],
        tags: Tags,
        now: UnixTime,
        verify: &impl Fn(&Materials) -> Result<Evidence, materials::Error>,
    ) -> Result<Collected, CollectError> {
        let mut fetched = 0;
        let mut entries = Vec::new();
        for item in items {
            let stored = self.store.get(item)?;
            let etag = match tags {
                Tags::Sent => stored.as_ref().and_then(|entry| entry.etag.as_deref()),
                Tags::Withheld => None,
            };
            let entry = match (self.fetch(services, item, etag).await?, stored) {
                (Answer::Document(document), _) => {
                    fetched += 1;
                    Entry {
                        body: document.body,
                        issuer_chain: document.issuer_chain,
                        fetched_at: now.0,
                        etag: document.etag,
                    }
                }
                (Answer::Unchanged, Some(stored)) => stored,
                // A tag is only sent with an entry.
                (Answer::Unchanged, None) => continue,
            };
            entries.push((item, entry));
        }
        let evidence = verify(&with(materials, entries.iter().map(|(_, entry)| entry)));
        if evidence.is_ok() {
            for (item, entry) in &entries {
                self.store.put(item, entry)?;
            }
        }
        Ok(Collected { evidence, fetched })
    }

    /// Asks for one document, again when the service is busy.
    async fn fetch(
        &self,
        services: &Services,
        item: &Item,
        etag: Option<&str>,
    ) -> Result<Answer, FetchError> {
        let waits = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(RETRIES)
            .with_jitter();
        (|| fetch(&services.client, &services.source, item, etag))
            .retry(waits)
            .when(FetchError::is_temporary)
            .adjust(|error, wait| match error.retry_after() {
                Some(asked) => wait.map(|wait| asked.max(wait).min(LONGEST_WAIT)),
                None => wait,
            })
            .await
    }
}

/// Whether verification failed for want of collateral, or of fresher collateral.
fn is_lacking(result: &Result<Evidence, materials::Error>) -> bool {
    matches!(result, Err(error) if error.kind() == FailureKind::Collateral)
}

/// The materials with entries added. What is not recognized is no collateral, and
/// verification will miss it.
fn with<'e>(materials: &Materials, entries: impl IntoIterator<Item = &'e Entry>) -> Materials {
    let mut all = materials.clone();
    for document in entries.into_iter().flat_map(Entry::documents) {
        let _ = all.add(&document);
    }
    all
}

/// What the evidence needs: the first set that the vendor knows.
fn needed(materials: &Materials) -> Result<Vec<Vec<Item>>, CollectError> {
    let Some((kind, bytes)) = materials.only_evidence() else {
        return Err(CollectError::Evidence("there is not exactly one piece"));
    };
    match kind {
        materials::Kind::SnpReport => snp(bytes),
        materials::Kind::Quote => dcap(bytes).map(|items| vec![items]),
        _ => Err(CollectError::Evidence("nothing is published for its kind")),
    }
}

fn snp(report: &[u8]) -> Result<Vec<Vec<Item>>, CollectError> {
    let malformed = |_| CollectError::Evidence("it is no SEV-SNP report");
    let report = Report::parse(report).map_err(malformed)?;
    // Reports before version 3 do not tell the product.
    let products = match report.cpu {
        Some(cpu) => vec![cpu.product().map_err(malformed)?],
        None => vec![Product::Milan, Product::Genoa],
    };
    let items = products.into_iter().filter_map(|product| {
        let mut items = vec![Item::AmdCrl(product)];
        match report.signing_key {
            SigningKey::Vcek => items.extend([
                Item::VcekChain(product),
                Item::Vcek {
                    product,
                    chip_id: report.chip_id,
                    tcb: report.reported_tcb(product).ok()?,
                },
            ]),
            // The VLEK itself is the provider's, and comes from the host.
            SigningKey::Vlek => items.push(Item::VlekChain(product)),
            SigningKey::None => {}
        }
        Some(items)
    });
    Ok(items.collect())
}

fn dcap(quote: &[u8]) -> Result<Vec<Item>, CollectError> {
    let malformed = |_| CollectError::Evidence("it is no quote with a PCK certificate");
    let quote = dcap::Quote::parse(quote).map_err(|_| CollectError::Evidence("it is no quote"))?;
    let (platform, authority) = quote.claimed_platform().map_err(malformed)?;
    let tee = match quote.body().kind() {
        dcap::Kind::Sgx => Tee::Sgx,
        dcap::Kind::Tdx => Tee::Tdx,
    };
    let authority = if authority.contains("Platform") {
        Authority::Platform
    } else {
        Authority::Processor
    };
    Ok(vec![
        Item::TcbInfo {
            tee,
            fmspc: platform.fmspc,
        },
        Item::QeIdentity(tee),
        Item::PckCrl(authority),
        Item::IntelRootCrl,
    ])
}
