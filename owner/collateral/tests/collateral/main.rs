//! The store, bundles, and requests to a local server.

mod collector;

use enarx_owner_collateral::{
    Answer, Bundle, BundleError, Entry, FetchError, Item, Source, Store, Tee, fetch,
};
use enarx_owner_evidence::{
    UnixTime,
    snp::{Product, Tcb},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const ITEM: Item = Item::QeIdentity(Tee::Tdx);

fn entry(fetched_at: u64) -> Entry {
    Entry {
        body: vec![1, 2, 3],
        issuer_chain: Some("chain".into()),
        fetched_at,
        etag: None,
    }
}

#[test]
fn a_turin_request_has_a_short_identity_and_one_more_version() {
    let tcb = Tcb {
        fmc: Some(1),
        bootloader: 2,
        tee: 3,
        snp: 4,
        microcode: 71,
    };
    let item = Item::Vcek {
        product: Product::Turin,
        chip_id: [0xab; 64],
        tcb,
    };
    assert_eq!(
        item.path(),
        "/vcek/v1/Turin/abababababababab?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=71"
    );
    let tcb = Tcb {
        fmc: None,
        bootloader: 255,
        tee: 255,
        snp: 255,
        microcode: 255,
    };
    let item = Item::Vcek {
        product: Product::Milan,
        chip_id: [0xab; 64],
        tcb,
    };
    assert!(item.key().len() <= 255);
}

#[test]
fn a_damaged_entry_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put(&ITEM, &entry(5)).unwrap();
    let again = Store::open(directory.path()).unwrap();
    assert_eq!(again.get(&ITEM).unwrap(), Some(entry(5)));
    let path = directory.path().join(ITEM.key());
    std::fs::write(&path, b"damaged").unwrap();
    assert_eq!(again.get(&ITEM).unwrap(), None);
    assert!(!path.exists());
}

#[test]
fn an_import_never_replaces_what_is_fresher() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (
        Store::open(old.path()).unwrap(),
        Store::open(new.path()).unwrap(),
    );
    old.put(&ITEM, &entry(5)).unwrap();
    new.put(&ITEM, &entry(6)).unwrap();
    let carry = |from: &Store, to: &Store| {
        let bytes = Bundle::export(from).unwrap().to_vec().unwrap();
        for end in 0..bytes.len() {
            assert!(Bundle::from_slice(&bytes[..end]).is_err());
        }
        Bundle::from_slice(&bytes)
            .unwrap()
            .import(to, UnixTime(6))
            .unwrap()
    };
    assert_eq!(carry(&old, &new), 0);
    assert_eq!(new.get(&ITEM).unwrap(), Some(entry(6)));
    assert_eq!(carry(&new, &old), 1);
    assert_eq!(old.get(&ITEM).unwrap(), Some(entry(6)));
}

#[test]
fn a_bundle_from_the_future_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put(&ITEM, &entry(6)).unwrap();
    let bundle = Bundle::export(&store).unwrap();
    let refused = bundle.import(&store, UnixTime(5));
    assert!(matches!(refused, Err(BundleError::Future(_))));
}

#[test]
fn a_bundle_cannot_name_a_file_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put(&ITEM, &entry(5)).unwrap();
    let mut bytes = Bundle::export(&store).unwrap().to_vec().unwrap();
    let key = ITEM.key();
    let at = bytes
        .windows(key.len())
        .position(|window| window == key.as_bytes())
        .unwrap();
    bytes[at..at + 3].copy_from_slice(b"../");
    assert!(matches!(
        Bundle::from_slice(&bytes),
        Err(BundleError::Key(_))
    ));
}

/// What comes of `answer`, sent by a local server to one request.
async fn fetched(answer: &str, etag: Option<&str>) -> Result<Answer, FetchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let source = Source {
        amd: base.clone(),
        intel: base.clone(),
        intel_root: base,
    };
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        assert!(request[..length].starts_with(b"GET /tdx/certification/v4/qe/identity "));
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    tokio::join!(fetch(&client, &source, &ITEM, etag), serve).0
}

#[tokio::test]
async fn answers_are_told_apart() {
    let good = "HTTP/1.1 200 OK\r\nSGX-Enclave-Identity-Issuer-Chain: a%20b\r\nETag: \"7\"\r\n\
                Content-Length: 2\r\n\r\n{}";
    let Ok(Answer::Document(document)) = fetched(good, None).await else {
        panic!("no document");
    };
    assert_eq!(document.body, b"{}");
    assert_eq!(document.issuer_chain.as_deref(), Some("a%20b"));
    assert_eq!(document.etag.as_deref(), Some("\"7\""));

    let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n";
    assert_eq!(
        fetched(unchanged, Some("\"7\"")).await.unwrap(),
        Answer::Unchanged
    );
    // To nobody who had nothing.
    assert!(matches!(
        fetched(unchanged, None).await,
        Err(FetchError::Status { status: 304, .. })
    ));
    let unknown = fetched("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", None).await;
    assert!(matches!(unknown, Err(FetchError::Unknown { .. })));
    let failed = fetched("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", None).await;
    assert!(matches!(
        failed,
        Err(FetchError::Status { status: 503, .. })
    ));
    let bare = fetched("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", None).await;
    assert!(matches!(bare, Err(FetchError::NoChain { .. })));
    let short =
        "HTTP/1.1 200 OK\r\nSGX-Enclave-Identity-Issuer-Chain: a\r\nContent-Length: 9\r\n\r\n{}";
    assert!(matches!(
        fetched(short, None).await,
        Err(FetchError::Transport { .. })
    ));
}

#[tokio::test]
async fn a_busy_service_says_until_when() {
    let date = "Date: Tue, 24 Nov 2026 08:00:00 GMT\r\n";
    for (headers, seconds) in [
        ("Retry-After: 7\r\n".to_owned(), Some(7)),
        (
            format!("{date}Retry-After: Tue, 24 Nov 2026 08:01:30 GMT\r\n"),
            Some(90),
        ),
        (
            format!("{date}Retry-After: Tue, 24 Nov 2026 07:00:00 GMT\r\n"),
            Some(0),
        ),
        // What a time means is not known without the service's clock.
        (
            "Retry-After: Tue, 24 Nov 2026 08:01:30 GMT\r\n".to_owned(),
            None,
        ),
        ("Retry-After: soon\r\n".to_owned(), None),
        (String::new(), None),
    ] {
        let answer = format!("HTTP/1.1 429 Slow\r\n{headers}Content-Length: 0\r\n\r\n");
        let limited = fetched(&answer, None).await.unwrap_err();
        assert!(limited.is_temporary());
        let wait = limited.retry_after().map(|wait| wait.as_secs());
        assert_eq!(wait, seconds, "{headers}");
    }
}

#[test]
fn a_full_store_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let large = Entry {
        body: vec![0; 3 << 20],
        ..entry(1)
    };
    let chips = 0..24;
    for chip in chips.clone() {
        store.put(&vcek(chip), &large).unwrap();
        assert!(store.get(&vcek(chip)).unwrap().is_some());
    }
    // 21 of 3 MiB go into 64 MiB.
    assert_eq!(store.keys().unwrap().len(), 21);
    assert_eq!(store.clear().unwrap(), 21);
    assert!(store.keys().unwrap().is_empty());
}

fn vcek(chip: u8) -> Item {
    Item::Vcek {
        product: Product::Milan,
        chip_id: [chip; 64],
        tcb: Tcb {
            fmc: None,
            bootloader: 1,
            tee: 1,
            snp: 1,
            microcode: 1,
        },
    }
}
