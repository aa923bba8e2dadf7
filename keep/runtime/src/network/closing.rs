//! Connections that the program no longer has, and whose last bytes are under way.

use std::time::Duration;

use tokio::{task::JoinSet, time::timeout};

use super::Connection;

/// Connections that are being closed. Dropping it cuts them off.
#[derive(Default)]
pub struct Closing(JoinSet<()>);

/// How long a peer has for taking the last bytes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Closing {
    /// Sends what is left and the end, beside everything else.
    pub fn close(&mut self, connection: Connection) {
        while self.0.try_join_next().is_some() {}
        self.0.spawn(async {
            // Cut off is what is left of a connection whose peer takes no more.
            let _ = timeout(PATIENCE, connection.close()).await;
        });
    }

    /// Waits until all are closed, for a bounded time.
    pub async fn finish(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}
