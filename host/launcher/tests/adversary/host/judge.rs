//! Whether what the Keep did was right.

use enarx_host_simulator::sgx::enclave::Interference;
use enarx_wire_hostcall::call::Leave;

use super::super::launch::THREADS;
use super::super::program::{CANARY, DENIED, DIAGNOSTICS, RIGHT, TURNED};
use super::{EENTER, ERESUME, Ending, Host, Left};

impl Host {
    /// Panics unless the Keep ended as `ending` and with all that it should have done till
    /// then.
    pub(super) fn judge(&mut self, ending: &Ending) {
        search("diagnostics", &self.diagnostics);
        search("what was sent", &self.sent);
        for thread in &self.threads {
            search("a block", thread.block.bytes());
        }
        let turned: Vec<u8> = self.received.iter().map(|byte| byte ^ TURNED).collect();
        assert!(turned.starts_with(&self.sent), "wrong bytes were sent");
        assert!(
            DIAGNOSTICS.starts_with(&self.diagnostics),
            "wrong diagnostics"
        );
        match ending {
            Ending::Exited(RIGHT) => {
                assert_eq!(self.sent, turned);
                assert_eq!(self.diagnostics, DIAGNOSTICS);
            }
            Ending::Exited(status) => assert_eq!(*status, DENIED, "the program was wronged"),
            _ => {}
        }
        if matches!(ending, Ending::Aborted(_)) {
            self.assert_stopped();
        }
    }

    /// However the Keep is entered now, nothing in it runs but its refusal. What was
    /// interrupted in another thread may go on up to its next call.
    fn assert_stopped(&mut self) {
        self.attachment.interfere(&Interference::default());
        for _ in 0..3 {
            for thread in 0..THREADS as usize {
                let is_interrupted =
                    self.threads[thread].depth > 0 && self.stopped_by != Some(thread);
                let leaves = [EENTER, ERESUME];
                for leaf in &leaves[..if is_interrupted { 1 } else { 2 }] {
                    let mut entry = self.entry(thread, *leaf);
                    let left = self.enter(&mut entry);
                    assert!(
                        matches!(left, Left::Refused | Left::Exit(Leave::Abort, _)),
                        "{left:?} after the Keep stopped"
                    );
                }
            }
        }
    }
}

/// Panics if the Keep's secret is in memory that the host can read.
pub fn search(place: &str, bytes: &[u8]) {
    let secret = CANARY.to_le_bytes();
    let mut rest = bytes;
    while let Some(found) = rest.iter().position(|byte| *byte == secret[0]) {
        rest = &rest[found..];
        assert!(
            !rest.starts_with(&secret),
            "the Keep's secret is in {place}"
        );
        rest = &rest[1..];
    }
}
