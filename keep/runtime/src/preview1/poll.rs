//! Waiting for several things at once.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};
use wasmtime_wasi::p1::{
    types::{self, Errno, Error, Fd},
    wasi_snapshot_preview1::WasiSnapshotPreview1 as _,
};
use wiggle::{GuestMemory, GuestPtr};

use super::{Preview1, Target};

/// Things that a program may wait for at once.
const MOST: u32 = 16_384;

/// One of them.
struct Awaited {
    userdata: types::Userdata,
    what: What,
}

enum What {
    Time(Instant),
    Receivable(Fd),
    Sendable(Fd),
    /// It cannot be waited for.
    Wrong(types::Eventtype, Errno),
}

impl Preview1 {
    /// `poll_oneoff`.
    pub(super) async fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<types::Subscription>,
        events: GuestPtr<types::Event>,
        count: types::Size,
    ) -> Result<types::Size, Error> {
        if count == 0 || count > MOST {
            return Err(Errno::Inval.into());
        }
        let mut awaited = Vec::with_capacity(count as usize);
        for subscription in subscriptions.as_array(count).iter() {
            let subscription = memory.read(subscription?)?;
            awaited.push(self.awaited(memory, &subscription)?);
        }
        // A program that always finds something ready still gives the others their turn.
        yield_now().await;
        let happened = self.first_of(&awaited).await;
        let mut written = 0;
        for (event, place) in happened.into_iter().zip(events.as_array(count).iter()) {
            memory.write(place?, event)?;
            written += 1;
        }
        Ok(written)
    }

    fn awaited(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscription: &types::Subscription,
    ) -> Result<Awaited, Error> {
        let what = match &subscription.u {
            types::SubscriptionU::Clock(clock) => self.time(memory, clock)?,
            types::SubscriptionU::FdRead(socket) => {
                match self.descriptors.get(socket.file_descriptor) {
                    Ok(_) => What::Receivable(socket.file_descriptor),
                    Err(error) => What::Wrong(types::Eventtype::FdRead, error),
                }
            }
            types::SubscriptionU::FdWrite(socket) => {
                match self.descriptors.get(socket.file_descriptor) {
                    Ok(_) => What::Sendable(socket.file_descriptor),
                    Err(error) => What::Wrong(types::Eventtype::FdWrite, error),
                }
            }
        };
        Ok(Awaited {
            userdata: subscription.userdata,
            what,
        })
    }

    fn time(
        &mut self,
        memory: &mut GuestMemory<'_>,
        clock: &types::SubscriptionClock,
    ) -> Result<What, Error> {
        let is_absolute = clock
            .flags
            .contains(types::Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
        let left = match clock.id {
            types::Clockid::Realtime | types::Clockid::Monotonic if is_absolute => {
                let now = self.wasi.clock_time_get(memory, clock.id, 0)?;
                clock.timeout.saturating_sub(now)
            }
            types::Clockid::Realtime | types::Clockid::Monotonic => clock.timeout,
            _ => return Ok(What::Wrong(types::Eventtype::Clock, Errno::Inval)),
        };
        // Longer than a year is as good as never.
        let left = Duration::from_nanos(left).min(Duration::from_secs(365 * 24 * 3600));
        Ok(What::Time(Instant::now() + left))
    }

    /// What has happened when something has.
    async fn first_of(&mut self, awaited: &[Awaited]) -> Vec<types::Event> {
        let earliest = awaited.iter().filter_map(|awaited| match awaited.what {
            What::Time(time) => Some(time),
            _ => None,
        });
        let Some(earliest) = earliest.min() else {
            return poll_fn(|context| self.poll_all(context, awaited)).await;
        };
        let mut timer = pin!(sleep_until(earliest));
        poll_fn(|context| {
            // Asked first, so that it wakes this up, whatever else happens.
            let _ = timer.as_mut().poll(context);
            self.poll_all(context, awaited)
        })
        .await
    }

    fn poll_all(
        &mut self,
        context: &mut Context<'_>,
        awaited: &[Awaited],
    ) -> Poll<Vec<types::Event>> {
        // Whatever the program waits for, what it has sent goes on its way.
        self.descriptors.poll_flush(context);
        let mut happened = Vec::new();
        for Awaited { userdata, what } in awaited {
            let event = match what {
                What::Time(time) => {
                    (Instant::now() >= *time).then(|| event(types::Eventtype::Clock, 0, false))
                }
                What::Receivable(descriptor) => self
                    .poll_receivable(context, *descriptor)
                    .map(|(size, is_end)| event(types::Eventtype::FdRead, size, is_end)),
                What::Sendable(descriptor) => self
                    .is_sendable(context, *descriptor)
                    .then(|| event(types::Eventtype::FdWrite, ROOM, false)),
                What::Wrong(kind, error) => Some(types::Event {
                    error: *error,
                    ..event(*kind, 0, false)
                }),
            };
            happened.extend(event.map(|event| types::Event {
                userdata: *userdata,
                ..event
            }));
        }
        if happened.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(happened)
        }
    }

    /// How many bytes are there, and whether they are the last; `None` while the program
    /// would have to wait.
    fn poll_receivable(
        &mut self,
        context: &mut Context<'_>,
        descriptor: Fd,
    ) -> Option<(usize, bool)> {
        let ready = match self.descriptors.get(descriptor).ok()?? {
            Target::Stdin => self.stdin.poll_ready(context).map(|()| (1, false)),
            // Files and the like never wait.
            Target::Wasi(_) | Target::Null => Poll::Ready((1, false)),
            Target::Listener(listener) => listener.poll_acceptable(context).map(|()| (1, false)),
            Target::Connection(connection) => connection
                .poll_receivable(context)
                .map(|()| connection.received_ahead()),
        };
        match ready {
            Poll::Ready(ready) => Some(ready),
            Poll::Pending => None,
        }
    }

    fn is_sendable(&mut self, context: &mut Context<'_>, descriptor: Fd) -> bool {
        match self.descriptors.get(descriptor) {
            Ok(Some(Target::Connection(connection))) => {
                connection.poll_sendable(context).is_ready()
            }
            Ok(Some(Target::Listener(_))) => false,
            _ => true,
        }
    }
}

/// Bytes that a program is told it can send.
const ROOM: usize = 1 << 16;

fn event(kind: types::Eventtype, size: usize, is_end: bool) -> types::Event {
    types::Event {
        userdata: 0,
        error: Errno::Success,
        type_: kind,
        fd_readwrite: types::EventFdReadwrite {
            flags: if is_end {
                types::Eventrwflags::FD_READWRITE_HANGUP
            } else {
                types::Eventrwflags::empty()
            },
            nbytes: size as u64,
        },
    }
}
