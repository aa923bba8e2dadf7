//! A confidential VM's event log, which is the host's word until it is replayed.
#![no_main]

use enarx_owner_evidence::event_log::EventLog;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(log) = EventLog::parse(bytes) {
        let unwitnessed = log.witnessed().next().is_none();
        assert!(!unwitnessed || log.replay() == [[0; 48]; 4]);
    }
});
