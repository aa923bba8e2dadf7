//! What a host answers, and what its callers ask, in JSON.
#![no_main]

use enarx_wire_host_api::{
    HostInfo, KeepInfo, KeepList, OfferResponse, Problem, StartRequest, StartedKeep,
};
use serde::{Serialize, de::DeserializeOwned};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    same_again::<HostInfo>(bytes);
    same_again::<KeepInfo>(bytes);
    same_again::<KeepList>(bytes);
    same_again::<OfferResponse>(bytes);
    same_again::<Problem>(bytes);
    same_again::<StartedKeep>(bytes);
    same_again::<StartRequest>(bytes);
    if let Ok(request) = serde_json::from_slice::<StartRequest>(bytes) {
        let _ = request.check();
    }
});

/// What is accepted is written so that it is read as the same.
fn same_again<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&value).unwrap();
        let read: T = serde_json::from_slice(&written).unwrap();
        assert_eq!(serde_json::to_vec(&read).unwrap(), written);
    }
}
