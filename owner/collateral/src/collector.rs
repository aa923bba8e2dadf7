//! Getting what a piece of evidence needs.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use enarx_owner_evidence::{
    Evidence, FailureKind, UnixTime, dcap,
    materials::{self, Materials},
    snp::{Product, Report, SigningKey},
};
use reqwest::{Client, redirect::Policy};

use crate::{Authority, Entry, FetchError, Fetched, Item, Source, Store, StoreError, Tee, fetch};

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
    client: Client,
    source: Source,
    store: Store,
    first_wait: Duration,
}

/// What was got, and what verification with it came to.
#[derive(Debug)]
pub struct Collected {
    /// The result of verification.
    pub evidence: Result<Evidence, materials::Error>,
    /// How many documents were fetched; none when the store had all.
    pub fetched: usize,
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
    /// No HTTP client could be made.
    #[error("no connections can be made: {0}")]
    Client(reqwest::Error),
}

impl Collector {
    /// A collector that asks `source`, and keeps what verifies in `store`.
    ///
    /// # Errors
    ///
    /// [`CollectError::Client`].
    pub fn new(source: Source, store: Store) -> Result<Self, CollectError> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(CollectError::Client)?;
        Ok(Self {
            client,
            source,
            store,
            first_wait: Duration::from_secs(1),
        })
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
            return Ok(Collected {
                evidence: first,
                fetched: 0,
            });
        }
        let mut last = None;
        for items in needed(materials)? {
            match self.verify_with(materials, &items, now, &verify).await {
                Err(CollectError::Fetch(error @ FetchError::Unknown { .. })) => {
                    last = Some(error);
                }
                other => return other,
            }
        }
        Err(last.map_or(
            CollectError::Evidence("it is of no known kind"),
            CollectError::Fetch,
        ))
    }

    async fn verify_with(
        &self,
        materials: &Materials,
        items: &[Item],
        now: UnixTime,
        verify: &impl Fn(&Materials) -> Result<Evidence, materials::Error>,
    ) -> Result<Collected, CollectError> {
        let kept = items.iter().map(|item| self.store.get(item));
        let kept = kept.collect::<Result<Vec<_>, _>>()?;
        if let Some(kept) = kept.into_iter().collect::<Option<Vec<Entry>>>() {
            let documents = kept.into_iter().map(|entry| Fetched {
                body: entry.body,
                issuer_chain: entry.issuer_chain,
            });
            let evidence = verify(&with(materials, documents));
            if !is_lacking(&evidence) {
                return Ok(Collected {
                    evidence,
                    fetched: 0,
                });
            }
        }
        let mut documents = Vec::new();
        for item in items {
            documents.push(self.fetch(item).await?);
        }
        let evidence = verify(&with(materials, documents.iter().cloned()));
        if evidence.is_ok() {
            for (item, document) in items.iter().zip(&documents) {
                let entry = Entry {
                    body: document.body.clone(),
                    issuer_chain: document.issuer_chain.clone(),
                    fetched_at: now.0,
                };
                self.store.put(item, &entry)?;
            }
        }
        Ok(Collected {
            evidence,
            fetched: documents.len(),
        })
    }

    /// Asks for one document, again when the service is busy.
    async fn fetch(&self, item: &Item) -> Result<Fetched, FetchError> {
        let waits = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(RETRIES)
            .with_jitter();
        (|| fetch(&self.client, &self.source, item))
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

/// The materials with documents added. What is not recognized is no collateral, and
/// verification will miss it.
fn with(materials: &Materials, documents: impl Iterator<Item = Fetched>) -> Materials {
    let mut all = materials.clone();
    for document in documents {
        let _ = all.add(&document.body);
        if let Some(chain) = document.issuer_chain {
            let _ = all.add(&percent_decoded(&chain));
        }
    }
    all
}

/// Intel's services send PEM in headers, percent-encoded (RFC 3986, section 2.1).
fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
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
