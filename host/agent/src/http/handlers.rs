//! What each operation does.

use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use enarx_wire_host_api::{
    EndKind, ErrorCode, HEADER_FIRST_FRAME, KeepEnd, KeepId, MAX_GRANT_BYTES, MAX_JSON_BYTES,
    Operation, OutputQuery, StartRequest, encode_frame,
};
use futures_util::Stream;

use super::{
    body::{Frames, announced_size, check_media_type, pieces, read_whole},
    observe::close_after,
    refusal::Refusal,
    routes::Context,
};
use crate::{OutputReader, ServiceError};

/// Frames that are there already are sent together, up to about this many bytes.
const OUTPUT_PIECE: usize = 64 << 10;

type Answer = Result<Response, Refusal>;

pub(super) async fn host(State(context): State<Context>) -> Answer {
    // Probing backends reads files and opens devices.
    let service = context.service;
    let info = tokio::task::spawn_blocking(move || service.host_info()).await;
    let info = info.map_err(|error| Refusal::new(ErrorCode::Internal, error.to_string()))?;
    json(Operation::Host, &info)
}

pub(super) async fn start(
    State(context): State<Context>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_media_type(Operation::Start, &headers)?;
    let body = read_whole(&headers, body, MAX_JSON_BYTES, context.options.body_time).await?;
    let request: StartRequest = serde_json::from_slice(&body)
        .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string()))?;
    let started = context.service.start(request).await?;
    let mut response = json(Operation::Start, &started)?;
    let location = Operation::Inspect.path_for(started.keep.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn list(State(context): State<Context>) -> Answer {
    json(Operation::List, &context.service.list())
}

pub(super) async fn inspect(State(context): State<Context>, keep: Path<String>) -> Answer {
    json(Operation::Inspect, &context.service.inspect(id(&keep)?)?)
}

pub(super) async fn stop(State(context): State<Context>, keep: Path<String>) -> Answer {
    json(Operation::Stop, &context.service.stop(id(&keep)?).await?)
}

pub(super) async fn offer(State(context): State<Context>, keep: Path<String>) -> Answer {
    json(Operation::Offer, &context.service.offer(id(&keep)?).await?)
}

pub(super) async fn provision(
    State(context): State<Context>,
    keep: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let keep = id(&keep)?;
    check_media_type(Operation::Provision, &headers)?;
    let grant = read_whole(&headers, body, MAX_GRANT_BYTES, context.options.body_time).await?;
    context.service.provision(keep, grant).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn package(
    State(context): State<Context>,
    keep: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let keep = id(&keep)?;
    check_media_type(Operation::Package, &headers)?;
    let body = pieces(body, context.options.body_time);
    let announced = announced_size(&headers);
    context.service.package(keep, announced, body).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn output(
    State(context): State<Context>,
    keep: Path<String>,
    query: Result<Query<OutputQuery>, QueryRejection>,
) -> Answer {
    let keep = id(&keep)?;
    let Query(query) =
        query.map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.body_text()))?;
    let reader = context.service.output(keep, query.from, query.follow)?;
    let first = HeaderValue::from(reader.first_frame());
    let mut response = answer(Operation::Output, Body::from_stream(framed(reader)));
    let name = HeaderName::from_static(HEADER_FIRST_FRAME);
    response.headers_mut().insert(name, first);
    Ok(response)
}

pub(super) async fn input(
    State(context): State<Context>,
    keep: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let keep = id(&keep)?;
    check_media_type(Operation::Input, &headers)?;
    context.service.require_running(keep)?;
    let mut frames = Frames::new(body, context.options.body_time);
    loop {
        // What has come goes first; a body that rests between frames ends with the Keep.
        let frame = tokio::select! {
            biased;
            frame = frames.next() => frame?,
            ended = context.service.wait(keep) => return rest_of_input(&ended?.end),
        };
        match frame {
            Some(frame) => context.service.input(keep, frame).await?,
            None => return Ok(StatusCode::NO_CONTENT.into_response()),
        }
    }
}

/// The answer to a body of input that was open when the Keep ended. All frames
/// that came were relayed.
fn rest_of_input(end: &Option<KeepEnd>) -> Answer {
    match end {
        Some(end) if end.kind != EndKind::Completed => {
            Err(ServiceError::KeepEnded(end.clone().into()).into())
        }
        _ => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            close_after(response.headers_mut());
            Ok(response)
        }
    }
}

pub(super) async fn health() -> Response {
    answer(Operation::Health, Body::from("ok\n"))
}

pub(super) async fn metrics(State(context): State<Context>) -> Response {
    answer(Operation::Metrics, Body::from(context.service.metrics()))
}

pub(super) async fn description() -> Answer {
    let description = enarx_wire_host_api::openapi::description(env!("CARGO_PKG_VERSION"));
    json(Operation::Description, &description)
}

/// An identifier that is malformed names no Keep.
fn id(text: &str) -> Result<KeepId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::new(
            ErrorCode::UnknownKeep,
            "a Keep's name has 32 hexadecimal digits",
        )
    })
}

fn json(operation: Operation, message: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(message)
        .map_err(|error| Refusal::new(ErrorCode::Internal, error.to_string()))?;
    Ok(answer(operation, Body::from(body)))
}

fn answer(operation: Operation, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(operation.success_status()).unwrap_or(StatusCode::OK);
    if let Some(media_type) = operation.response_media_type() {
        let media_type = HeaderValue::from_static(media_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
    }
    response
}

/// The body for `reader`: frames with their lengths, several in one piece when
/// they are there already. An error cuts the body, so that the caller does not
/// take it for whole.
fn framed(reader: OutputReader) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    futures_util::stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        let piece = next_piece(&mut reader).await?;
        let rest = piece.is_ok().then_some(reader);
        Some((piece, rest))
    })
}

async fn next_piece(reader: &mut OutputReader) -> Option<Result<Bytes, std::io::Error>> {
    let mut piece = BytesMut::new();
    let mut next = match reader.next().await? {
        Ok(frame) => Some(frame),
        Err(error) => return Some(Err(std::io::Error::other(error))),
    };
    while let Some(frame) = next {
        match encode_frame(&frame) {
            Ok(length) => piece.put_slice(&length),
            Err(error) => return Some(Err(std::io::Error::other(ServiceError::from(error)))),
        }
        piece.put_slice(&frame);
        next = if piece.len() < OUTPUT_PIECE {
            reader.next_held()
        } else {
            None
        };
    }
    Some(Ok(piece.freeze()))
}
