//! The output of a Keep: session frames, held for readers in bounded memory.
//!
//! Frames are numbered from 0. When the memory is full, the oldest frame goes.
//! A reader that has yet to take that frame holds the Keep back instead, until it
//! takes it or its time is up; then the reader is cut off. Before the first reader has
//! come, the Keep is held back for it in the same way: its owner is on the way.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;

/// What a frame costs beside its bytes, so that many tiny frames are bounded too.
const FRAME_COST: usize = 64;

/// The number of the first reader before it has come.
const AWAITED_READER: u64 = 0;

/// The frames of one Keep.
#[derive(Debug)]
pub(crate) struct Output {
    held: Mutex<Held>,
    /// Moves when a frame comes or the output closes.
    grown: watch::Sender<()>,
    /// Moves when a reader takes a frame or leaves.
    taken: watch::Sender<()>,
    limit: usize,
    reader_time: Option<Duration>,
}

#[derive(Debug, Default)]
struct Held {
    frames: VecDeque<Bytes>,
    first: u64,
    cost: usize,
    total_frames: u64,
    total_bytes: u64,
    closed: bool,
    /// The next frame that each reader wants.
    readers: BTreeMap<u64, u64>,
    next_reader: u64,
}

/// Figures of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputFigures {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) first: u64,
}

impl Output {
    /// An empty output that holds up to `limit` bytes, and at least one frame.
    pub(crate) fn new(limit: usize, reader_time: Option<Duration>) -> Self {
        Self {
            held: Mutex::new(Held {
                readers: BTreeMap::from([(AWAITED_READER, 0)]),
                next_reader: AWAITED_READER + 1,
                ..Held::default()
            }),
            grown: watch::Sender::new(()),
            taken: watch::Sender::new(()),
            limit,
            reader_time,
        }
    }

    /// Adds a frame, and returns how many old ones were dropped for it.
    pub(crate) async fn push(&self, frame: Bytes) -> u64 {
        let cost = frame.len() + FRAME_COST;
        let mut dropped = 0;
        loop {
            let mut taken = self.taken.subscribe();
            match self.make_room(cost) {
                Room::Made(frames) => {
                    dropped += frames;
                    break;
                }
                Room::Awaited(frames) => dropped += frames,
            }
            let moved = taken.changed();
            match self.reader_time {
                None => drop(moved.await),
                Some(time) => {
                    if tokio::time::timeout(time, moved).await.is_err() {
                        self.cut_off_slowest();
                    }
                }
            }
        }
        let mut held = self.lock();
        held.cost += cost;
        held.total_frames += 1;
        held.total_bytes += frame.len() as u64;
        held.frames.push_back(frame);
        drop(held);
        self.grown.send_replace(());
        dropped
    }

    /// Says that no more frames come. Readers end after the last one.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.grown.send_replace(());
    }

    /// Figures for callers.
    pub(crate) fn figures(&self) -> OutputFigures {
        let held = self.lock();
        OutputFigures {
            frames: held.total_frames,
            bytes: held.total_bytes,
            first: held.first,
        }
    }

    fn make_room(&self, cost: usize) -> Room {
        let mut held = self.lock();
        let mut dropped = 0;
        while held.cost + cost > self.limit && !held.frames.is_empty() {
            if held.readers.values().any(|&next| next <= held.first) {
                return Room::Awaited(dropped);
            }
            if let Some(frame) = held.frames.pop_front() {
                held.cost -= frame.len() + FRAME_COST;
                held.first += 1;
                dropped += 1;
            }
        }
        Room::Made(dropped)
    }

    fn cut_off_slowest(&self) {
        let mut held = self.lock();
        let first = held.first;
        held.readers.retain(|_, next| *next > first);
        drop(held);
        self.grown.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it holds this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is room for a frame, and how many old frames went for it.
enum Room {
    Made(u64),
    Awaited(u64),
}

/// Reads a Keep's session frames in order. It holds the Keep back when it is
/// slower than the Keep, so drop it when it is no longer read.
#[derive(Debug)]
pub struct OutputReader {
    output: Arc<Output>,
    grown: watch::Receiver<()>,
    reader: u64,
    first: u64,
    /// Where to end, when new frames are not wanted.
    until: Option<u64>,
}

impl OutputReader {
    /// A reader from the frame `from`, or from the oldest that is held when that
    /// is newer. It goes on with new frames if it is to `follow`.
    pub(crate) fn new(output: Arc<Output>, from: u64, follow: bool) -> Self {
        let grown = output.grown.subscribe();
        let mut held = output.lock();
        let reader = held.next_reader;
        held.next_reader += 1;
        let first = from.max(held.first);
        held.readers.remove(&AWAITED_READER);
        held.readers.insert(reader, first);
        let until = (!follow).then_some(held.total_frames);
        drop(held);
        Self {
            output,
            grown,
            reader,
            first,
            until,
        }
    }

    /// Index of the first frame that this reader gives. It is more than what was
    /// asked for when older frames are no longer held.
    #[must_use]
    pub fn first_frame(&self) -> u64 {
        self.first
    }

    /// The next frame; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`ReaderCutOff`] when the reader was too slow and frames were dropped.
    pub async fn next(&mut self) -> Option<Result<Bytes, ReaderCutOff>> {
        loop {
            self.grown.borrow_and_update();
            match self.take() {
                Taken::Frame(frame) => return Some(Ok(frame)),
                Taken::CutOff => return Some(Err(ReaderCutOff)),
                Taken::End => return None,
                // The sender lives in `self.output`, so there is no error.
                Taken::Nothing => drop(self.grown.changed().await),
            }
        }
    }

    /// The next frame if it is there already.
    pub fn next_held(&mut self) -> Option<Bytes> {
        match self.take() {
            Taken::Frame(frame) => Some(frame),
            Taken::CutOff | Taken::End | Taken::Nothing => None,
        }
    }

    /// This reader as a stream of frames.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ReaderCutOff>> + Send {
        futures_util::stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            let item = reader.next().await?;
            let rest = item.is_ok().then_some(reader);
            Some((item, rest))
        })
    }

    fn take(&mut self) -> Taken {
        let mut held = self.output.lock();
        let Some(&next) = held.readers.get(&self.reader) else {
            return Taken::CutOff;
        };
        if self.until.is_some_and(|until| next >= until) {
            return Taken::End;
        }
        let position = next.checked_sub(held.first);
        let position = position.and_then(|position| usize::try_from(position).ok());
        match position.and_then(|position| held.frames.get(position).cloned()) {
            Some(frame) => {
                held.readers.insert(self.reader, next + 1);
                drop(held);
                self.output.taken.send_replace(());
                Taken::Frame(frame)
            }
            None if held.closed => Taken::End,
            None => Taken::Nothing,
        }
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        self.output.lock().readers.remove(&self.reader);
        self.output.taken.send_replace(());
    }
}

/// A reader was too slow: the Keep was held back for as long as the host allows,
/// and then frames were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader was too slow, and output was dropped")]
pub struct ReaderCutOff;

enum Taken {
    Frame(Bytes),
    Nothing,
    End,
    CutOff,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 36])
    }

    /// Holds `frames` of [`frame`].
    fn output(frames: usize, reader_time: Option<Duration>) -> Arc<Output> {
        Arc::new(Output::new(frames * 100, reader_time))
    }

    async fn all(mut reader: OutputReader) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(frame) = reader.next().await {
            bytes.push(frame.unwrap()[0]);
        }
        bytes
    }

    #[tokio::test]
    async fn the_oldest_frames_go_when_nobody_reads() {
        let output = output(3, None);
        drop(OutputReader::new(output.clone(), 0, true));
        let mut dropped = 0;
        for byte in 0..10 {
            dropped += output.push(frame(byte)).await;
        }
        assert_eq!(dropped, 7);
        let reader = OutputReader::new(output.clone(), 2, false);
        assert_eq!(reader.first_frame(), 7);
        assert_eq!(all(reader).await, [7, 8, 9]);
        let reader = OutputReader::new(output.clone(), 9, false);
        assert_eq!(all(reader).await, [9]);
        let reader = OutputReader::new(output.clone(), 50, false);
        assert_eq!(reader.first_frame(), 50);
        assert!(all(reader).await.is_empty());
        let figures = output.figures();
        assert_eq!((figures.frames, figures.bytes, figures.first), (10, 360, 7));
    }

    #[tokio::test]
    async fn nothing_goes_before_the_first_reader_has_come() {
        let waiting = output(3, None);
        let writer = tokio::spawn({
            let output = waiting.clone();
            async move {
                for byte in 0..10 {
                    output.push(frame(byte)).await;
                }
                output.close();
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(waiting.figures().first, 0);
        let reader = OutputReader::new(waiting, 0, true);
        assert_eq!(all(reader).await, (0..10).collect::<Vec<_>>());
        writer.await.unwrap();

        // A reader that does not come is not waited for beyond its time.
        let output = output(1, Some(Duration::from_millis(1)));
        assert_eq!(output.push(frame(1)).await, 0);
        assert_eq!(output.push(frame(2)).await, 1);
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_limit_is_still_held() {
        let output = output(1, None);
        drop(OutputReader::new(output.clone(), 0, true));
        output.push(frame(1)).await;
        assert_eq!(output.push(Bytes::from(vec![2; 5000])).await, 1);
        assert_eq!(all(OutputReader::new(output.clone(), 0, false)).await, [2]);
        assert_eq!(output.push(frame(3)).await, 1);
    }

    #[tokio::test]
    async fn a_follower_gets_everything_and_holds_the_keep_back() {
        let output = output(2, None);
        let reader = OutputReader::new(output.clone(), 0, true);
        let follower = tokio::spawn(all(reader));
        let mut dropped = 0;
        for byte in 0..200 {
            dropped += output.push(frame(byte)).await;
        }
        output.close();
        assert_eq!(follower.await.unwrap(), (0..200).collect::<Vec<u8>>());
        assert_eq!(dropped, 198);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_cut_off() {
        let output = output(2, Some(Duration::from_millis(30)));
        let mut slow = OutputReader::new(output.clone(), 0, true);
        for byte in 0..5 {
            output.push(frame(byte)).await;
        }
        assert_eq!(slow.next().await, Some(Err(ReaderCutOff)));
        assert_eq!(slow.next_held(), None);
        assert_eq!(output.figures().first, 3);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_lets_the_keep_go_on() {
        let output = output(1, None);
        let reader = OutputReader::new(output.clone(), 0, true);
        output.push(frame(0)).await;
        let pushing = tokio::spawn({
            let output = output.clone();
            async move { output.push(frame(1)).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!pushing.is_finished());
        drop(reader);
        assert_eq!(pushing.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_follower_of_the_future_waits_for_it() {
        let output = output(9, None);
        let follower = tokio::spawn(all(OutputReader::new(output.clone(), 2, true)));
        for byte in 0..4 {
            output.push(frame(byte)).await;
        }
        output.close();
        assert_eq!(follower.await.unwrap(), [2, 3]);
    }
}
