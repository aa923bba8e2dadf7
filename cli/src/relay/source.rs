//! Standard input on its way to a Keep.

use std::io::Read as _;

use enarx_wire_provision::{Input, MAX_FRAME_PAYLOAD};
use tokio::sync::mpsc;

/// Forwards standard input on a thread of its own, up to its end. The thread is not
/// waited for: it may hang in a read from the terminal when the process ends.
pub fn forward_stdin(inputs: mpsc::Sender<Input>) {
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; MAX_FRAME_PAYLOAD];
        loop {
            let input = match stdin.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // The program sees an end where nothing more can be read.
                Ok(0) | Err(_) => Input::StdinEnd,
                Ok(count) => Input::Stdin(buffer[..count].to_vec()),
            };
            let ended = input == Input::StdinEnd;
            if inputs.blocking_send(input).is_err() || ended {
                return;
            }
        }
    });
}
