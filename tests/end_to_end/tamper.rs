//! A host that lies: it stands before a real one, relays every request, and does
//! something of its own with some of them.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use reqwest::Client;

/// What the lying host does with an answer's body, or instead of a request.
#[derive(Clone, Copy)]
pub enum Lie {
    /// Breaks off the connection before the request reaches the real host.
    Hang,
    /// Breaks off the connection after the real host has answered.
    Swallow,
    /// Alters the request's body.
    Request(fn(Vec<u8>) -> Vec<u8>),
    /// Alters the body of a request for a Keep, and once the Keep has ended of that
    /// says that it failed.
    Ruin(fn(Vec<u8>) -> Vec<u8>),
    /// Alters the answer's body.
    Answer(fn(Vec<u8>) -> Vec<u8>),
    /// Alters the answer's body, and says in the header that it begins at frame 1.
    FirstFrame(fn(Vec<u8>) -> Vec<u8>),
}

/// Starts a lying host before `real`, which lies in each request whose method and
/// path end with `method` and `path`. Gives its URL.
pub fn liar(real: &str, method: &'static str, path: &'static str, lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let liar = Arc::new(Liar {
        real: real.to_owned(),
        client: Client::builder().no_proxy().build().unwrap(),
        method,
        path,
        lie,
    });
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = Router::new().fallback(relay).with_state(liar);
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{address}")
}

struct Liar {
    real: String,
    client: Client,
    method: &'static str,
    path: &'static str,
    lie: Lie,
}

async fn relay(State(liar): State<Arc<Liar>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let lying = parts.method == liar.method && parts.uri.path().ends_with(liar.path);
    let lie = lying.then_some(liar.lie);
    if matches!(lie, Some(Lie::Hang)) {
        return broken();
    }
    let url = format!("{}{}", liar.real, parts.uri);
    let mut forwarded = liar.client.request(parts.method, url);
    for (name, value) in &parts.headers {
        if !["host", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            forwarded = forwarded.header(name, value);
        }
    }
    let streamed = parts.uri.path().ends_with("/input");
    forwarded = if streamed {
        forwarded.body(reqwest::Body::wrap_stream(body.into_data_stream()))
    } else {
        let mut bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap()
            .to_vec();
        if let Some(Lie::Request(alter) | Lie::Ruin(alter)) = lie {
            bytes = alter(bytes);
        }
        forwarded.body(bytes)
    };
    let Ok(answer) = forwarded.send().await else {
        return broken();
    };
    if matches!(lie, Some(Lie::Ruin(_))) {
        let keep = parts.uri.path().trim_end_matches(liar.path);
        liar.see_the_end(keep).await;
        return Response::builder().status(502).body(Body::empty()).unwrap();
    }
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        let renumbered = matches!(lie, Some(Lie::FirstFrame(_))) && name == "enarx-first-frame";
        if !renumbered && !["content-length", "transfer-encoding"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    if matches!(lie, Some(Lie::FirstFrame(_))) {
        response = response.header("enarx-first-frame", "1");
    }
    match lie {
        Some(Lie::Swallow) => broken(),
        Some(Lie::Answer(alter) | Lie::FirstFrame(alter)) => {
            let bytes = answer.bytes().await.unwrap_or_default().to_vec();
            response.body(Body::from(alter(bytes))).unwrap()
        }
        _ => response
            .body(Body::from_stream(answer.bytes_stream()))
            .unwrap(),
    }
}

impl Liar {
    /// Waits until the Keep at `path` has ended.
    async fn see_the_end(&self, path: &str) {
        let url = format!("{}{path}", self.real);
        loop {
            let answer = self.client.get(&url).send().await.unwrap();
            let keep: serde_json::Value = answer.json().await.unwrap();
            if keep["state"] == "ended" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An answer that breaks off in its body.
fn broken() -> Response {
    let pieces: [Result<Bytes, std::io::Error>; 1] = [Err(std::io::ErrorKind::BrokenPipe.into())];
    Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
}
