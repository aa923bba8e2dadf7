//! Waiting for descriptors.
//!
//! What happens inside wakes those that wait, as futexes do: who waits is noted before it is
//! looked whether there is anything to wait for, so that no wake-up is lost. The host is
//! asked about all its descriptors at once, and ends that waiting too when another thread wakes
//! this one.

use alloc::{vec, vec::Vec};

use enarx_wire_hostcall::call::{Operation, POLL_ENTRY_SIZE, PollEntry};
use linux_raw_sys::general::{POLLERR, POLLHUP, POLLNVAL};

use super::{Kernel, OPEN_FILES};
use crate::{
    Error, UserMemory,
    file::{Event, Files, Phase},
    platform::{Platform, Stop},
};

/// Where threads wait for descriptors: no futex lies there, whose address is a multiple of four.
pub(super) const DESCRIPTORS: u64 = 1;

/// Events that are found although nobody waits for them.
const ALWAYS_FOUND: u16 = (POLLERR | POLLHUP | POLLNVAL) as u16;

impl<P: Platform> Kernel<P> {
    /// Does something with the files, and sees to what comes of it: threads that wait for
    /// descriptors look at them again, and the host closes sockets.
    pub(super) fn with_files<T>(&self, act: impl FnOnce(&mut Files) -> T) -> T {
        let mut files = self.files.lock();
        let before = files.changes();
        let done = act(&mut files);
        let changed = files.changes() != before;
        let closed = files.take_closed_sockets();
        drop(files);
        for number in closed {
            self.platform
                .ask(Operation::Close, [number.into(), 0, 0, 0]);
        }
        if changed {
            self.wake(DESCRIPTORS, usize::MAX);
        }
        done
    }

    pub(super) fn poll(&self, [array, count, timeout, ..]: [u64; 6]) -> Result<u64, Error> {
        self.poll_until(array, count, self.deadline_of_milliseconds(timeout))
    }

    pub(super) fn ppoll(&self, [array, count, timeout, ..]: [u64; 6]) -> Result<u64, Error> {
        let deadline = match timeout {
            0 => None,
            at => Some(self.now().saturating_add(self.duration(at)?)),
        };
        self.poll_until(array, count, deadline)
    }

    fn poll_until(&self, array: u64, count: u64, deadline: Option<u64>) -> Result<u64, Error> {
        if count > u64::from(OPEN_FILES) {
            return Err(Error::EINVAL);
        }
        // `struct pollfd` is laid out as the host's.
        let mut bytes = vec![0; count as usize * POLL_ENTRY_SIZE];
        UserMemory::read(self, array, &mut bytes)?;
        let mut entries: Vec<PollEntry> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|entry| PollEntry {
                found: 0,
                ..PollEntry::decode(*entry)
            })
            .collect();
        let found = self.wait_until(deadline, |files, phase| {
            let mut ready = 0;
            for entry in entries.iter_mut().filter(|entry| entry.descriptor >= 0) {
                let found = files.poll(entry.descriptor, entry.events, phase);
                let found = found.unwrap_or(POLLNVAL as u16);
                ready += u64::from(entry.found == 0 && found != 0);
                entry.found |= found;
            }
            Ok(ready)
        })?;
        for (place, entry) in bytes.as_chunks_mut().0.iter_mut().zip(&entries) {
            *place = entry.encode();
        }
        UserMemory::write(self, array, &bytes)?;
        Ok(found)
    }

    pub(super) fn epoll_wait(
        &self,
        [epoll, into, most, timeout, ..]: [u64; 6],
    ) -> Result<u64, Error> {
        let most = match usize::try_from(most as i32) {
            Ok(most @ 1..) => most.min(OPEN_FILES as usize),
            _ => return Err(Error::EINVAL),
        };
        let mut events: Vec<Event> = Vec::new();
        let deadline = self.deadline_of_milliseconds(timeout);
        let count = self.wait_until(deadline, |files, phase| {
            let before = events.len();
            files.tell_events(epoll as i32, phase, &mut events, most)?;
            Ok((events.len() - before) as u64)
        })?;
        let bytes: Vec<u8> = events.into_iter().flat_map(Event::encode).collect();
        UserMemory::write(self, into, &bytes)?;
        Ok(count)
    }

    /// As everywhere, the lower half of the register is the number.
    fn deadline_of_milliseconds(&self, timeout: u64) -> Option<u64> {
        const MILLISECOND: u64 = 1_000_000;
        let timeout = u64::try_from(timeout as i32).ok()?;
        Some(self.now().saturating_add(timeout * MILLISECOND))
    }

    /// Waits until `visit` has found something, and gives how much, or until `deadline`.
    fn wait_until(
        &self,
        deadline: Option<u64>,
        mut visit: impl FnMut(&mut Files, &mut Phase<'_>) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let thread = self.platform.thread();
        loop {
            self.waiters.lock().enqueue(thread, DESCRIPTORS);
            let found = self.wait_once(deadline, &mut visit);
            self.waiters.lock().give_up(thread);
            if let Some(found) = found? {
                return Ok(found);
            }
        }
    }

    fn wait_once(
        &self,
        deadline: Option<u64>,
        visit: &mut impl FnMut(&mut Files, &mut Phase<'_>) -> Result<u64, Error>,
    ) -> Result<Option<u64>, Error> {
        let mut asked = Vec::new();
        let mut found = visit(&mut self.files.lock(), &mut Phase::Inside(&mut asked))?;
        let left = deadline.map_or(u64::MAX, |deadline| deadline.saturating_sub(self.now()));
        let is_late = left == 0;
        if !asked.is_empty() {
            let left = if found != 0 { 0 } else { left };
            if self.ask_host(&mut asked, left) {
                asked.retain(|entry| entry.found != 0);
                found += visit(&mut self.files.lock(), &mut Phase::Host(&asked))?;
            }
        } else if found == 0 {
            self.park(deadline);
        }
        Ok((found != 0 || is_late).then_some(found))
    }

    /// Waits for the host's descriptors, so many nanoseconds at the most. Gives whether the host
    /// says that it has found something.
    fn ask_host(&self, entries: &mut [PollEntry], nanoseconds: u64) -> bool {
        let request: Vec<u8> = entries.iter().flat_map(|entry| entry.encode()).collect();
        let mut answer = vec![0; request.len()];
        let answered = self.platform.call(
            Operation::Poll,
            [nanoseconds, 0, 0, 0],
            &[&request],
            entries.len() as u64,
            &mut answer,
        );
        if answered.length != answer.len() {
            self.platform.stop(Stop::AnswerLength);
        }
        let mut count = 0;
        for (entry, bytes) in entries.iter_mut().zip(answer.as_chunks().0) {
            let PollEntry { found, .. } = PollEntry::decode(*bytes);
            let asked = PollEntry { found, ..*entry };
            if asked.encode() != *bytes || found & !(entry.events | ALWAYS_FOUND) != 0 {
                self.platform.stop(Stop::AnswerResult);
            }
            count += i64::from(found != 0);
            entry.found = found;
        }
        if answered.result != count {
            self.platform.stop(Stop::AnswerResult);
        }
        count != 0
    }
}
