//! Looking names up for a Keep.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use enarx_wire_hostcall::{
    envelope::Kind,
    lookup::{MAX_ANSWER, Refusal, decode_request, encode_answer},
};

use crate::keep::{Keep, Outgoing};

/// Lookups of one Keep at a time.
pub(crate) const AT_ONCE: usize = 16;

/// Answers a Keep's request as soon as the answer is known. Gives whether it is one.
pub(crate) fn answer(keep: &Arc<Keep>, request: &[u8]) -> bool {
    let Ok((number, name)) = decode_request(request) else {
        return false;
    };
    let name = name.to_owned();
    let keep = Arc::clone(keep);
    tokio::spawn(async move {
        let found = addresses(&keep, &name).await;
        let mut buffer = [0; MAX_ANSWER];
        let answer = match &found {
            Ok(addresses) => encode_answer(number, Ok(addresses), &mut buffer),
            Err(refusal) => encode_answer(number, Err(*refusal), &mut buffer),
        };
        let payload = Bytes::copy_from_slice(answer);
        // A Keep that has ended needs no answer.
        if let Ok(place) = keep.place().await {
            place.send(Outgoing {
                kind: Kind::Addresses,
                payload,
                written: None,
            });
        }
    });
    true
}

async fn addresses(keep: &Keep, name: &str) -> Result<Vec<IpAddr>, Refusal> {
    if !keep.request.network {
        return Err(Refusal::Denied);
    }
    let _place = keep.lookups.try_acquire().map_err(|_| Refusal::Failed)?;
    let found = tokio::net::lookup_host((name, 0)).await;
    let mut addresses: Vec<IpAddr> = found
        .map_err(|_| Refusal::Unknown)?
        .map(|address| address.ip())
        .collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(Refusal::Unknown);
    }
    Ok(addresses)
}
