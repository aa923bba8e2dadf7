//! Request bodies, with bounds in size and time.

use std::{pin::Pin, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use enarx_wire_host_api::{ErrorCode, FrameDecoder, Operation};
use futures_util::{Stream, StreamExt};

use super::refusal::Refusal;
use crate::{BodyError, ServiceError};

/// Refuses a body that is not of the operation's media type. Parameters after it
/// do not matter.
pub(super) fn check_media_type(operation: Operation, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(due) = operation.request_media_type() else {
        return Ok(());
    };
    let sent = headers.get(header::CONTENT_TYPE);
    let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = sent.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(due) {
        Ok(())
    } else {
        let detail = format!("the body must be {due}");
        Err(Refusal::new(ErrorCode::UnsupportedMediaType, detail))
    }
}

/// The size that the request announces.
pub(super) fn announced_size(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Reads a whole body of at most `limit` bytes within `time`.
pub(super) async fn read_whole(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        let detail = format!("the body is over the limit of {limit} bytes");
        Refusal::new(ErrorCode::BodyTooLarge, detail)
    };
    if announced_size(headers).is_some_and(|size| size > limit as u64) {
        return Err(too_large());
    }
    let mut body = body.into_data_stream();
    let read = async {
        let mut whole = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| broken(&error))?;
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    match tokio::time::timeout(time, read).await {
        Ok(whole) => whole,
        Err(_) => Err(ServiceError::from(BodyError::Stalled).into()),
    }
}

/// A body in pieces, each of which must come within `time`.
pub(super) fn pieces(
    body: Body,
    time: Duration,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    futures_util::stream::unfold(body.into_data_stream(), move |mut body| async move {
        let piece = match tokio::time::timeout(time, body.next()).await {
            Ok(Some(Ok(piece))) => Ok(piece),
            Ok(Some(Err(error))) => Err(BodyError::Broken(error.to_string())),
            Ok(None) => return None,
            Err(_) => Err(BodyError::Stalled),
        };
        Some((piece, body))
    })
}

/// A body of session frames. Between frames it may rest; within one it must go on.
pub(super) struct Frames {
    body: Pin<Box<BodyDataStream>>,
    piece: Bytes,
    decoder: FrameDecoder,
    time: Duration,
}

impl Frames {
    pub(super) fn new(body: Body, time: Duration) -> Self {
        Self {
            body: Box::pin(body.into_data_stream()),
            piece: Bytes::new(),
            decoder: FrameDecoder::new(),
            time,
        }
    }

    /// The next frame; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ServiceError> {
        loop {
            let mut rest = &self.piece[..];
            let decoded = self.decoder.decode(&mut rest)?;
            let used = self.piece.len() - rest.len();
            drop(self.piece.split_to(used));
            if let Some(frame) = decoded {
                return Ok(Some(frame.into()));
            }
            let next = self.body.next();
            let next = if self.decoder.finish().is_ok() {
                next.await
            } else {
                let timed = tokio::time::timeout(self.time, next).await;
                timed.map_err(|_| BodyError::Stalled)?
            };
            match next {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(BodyError::Broken(error.to_string()).into()),
                None => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }
}

fn broken(error: &axum::Error) -> Refusal {
    ServiceError::from(BodyError::Broken(error.to_string())).into()
}
