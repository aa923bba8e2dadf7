//! Event logs of confidential VMs.
//!
//! Firmware and boot loaders extend measurement registers with digests, and write down of
//! what in a log. The registers are in the evidence; the log is anybody's word until its
//! digests give the registers' values again ([`EventLog::replay`]).
//!
//! Sources: *TCG PC Client Platform Firmware Profile*, crypto agile log; *UEFI
//! specification*, confidential computing event log (CCEL).

use aws_lc_rs::digest::{Context, SHA384};

use crate::bytes::{Bytes, Truncated};

/// Largest log looked at; firmware sets aside 64 KiB to 1 MiB.
const MAX_LOG_BYTES: usize = 1024 * 1024;
/// Most events; real logs have some hundreds.
const MAX_EVENTS: usize = 8_192;
/// `EV_NO_ACTION`: extends nothing.
const NO_ACTION: u32 = 3;
/// `TPM_ALG_SHA384`.
const SHA384_ALGORITHM: u16 = 0x000c;
/// What the first event holds.
const SPECIFICATION: &[u8] = b"Spec ID Event03\0";
/// Registers that a trust domain can extend.
const RTMRS: usize = 4;

/// Why a log cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventLogError {
    /// It is longer than any.
    #[error("the event log has {0} bytes, more than {MAX_LOG_BYTES}")]
    TooLarge(usize),
    /// It ends within an event.
    #[error("the event log is truncated")]
    Truncated,
    /// Its first event does not say that it is a crypto agile log.
    #[error("the event log does not begin with its specification")]
    Specification,
    /// Something is not as specified.
    #[error("the event log's {0} is not as specified")]
    Field(&'static str),
    /// Its digests do not give the registers' values.
    #[error("the event log does not replay to RTMR{0} of the evidence")]
    Mismatch(usize),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The register that it was extended into: 0 for the initial measurement, 1 to 4 for
    /// RTMR 0 to 3.
    pub register: u32,
    /// What kind of event it is (`EV_...`).
    pub kind: u32,
    /// SHA-384 of what was measured.
    pub digest: [u8; 48],
    /// What was measured, in a form that depends on the kind.
    pub data: Vec<u8>,
}

/// A log, read but not compared with anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    events: Vec<Event>,
}

impl EventLog {
    /// Reads a log; what firmware left unused of its buffer (zeros or ones) may be behind it.
    ///
    /// # Errors
    ///
    /// The first thing that is not as specified.
    pub fn parse(log: &[u8]) -> Result<Self, EventLogError> {
        if log.len() > MAX_LOG_BYTES {
            return Err(EventLogError::TooLarge(log.len()));
        }
        let mut bytes = Bytes(log);
        let sizes = specification(&mut bytes)?;
        let mut events = Vec::new();
        while !is_unused(&bytes) {
            if events.len() == MAX_EVENTS {
                return Err(EventLogError::Field("number of events"));
            }
            events.push(event(&mut bytes, &sizes)?);
        }
        Ok(Self { events })
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events that RTMR 0 to 3 bear witness to, with the number of theirs. For the others,
    /// such as those of the initial measurement, the log's word is all that there is.
    pub fn witnessed(&self) -> impl Iterator<Item = (usize, &Event)> {
        let events = self.events.iter().filter(|event| event.kind != NO_ACTION);
        events.filter_map(|event| {
            let number = usize::try_from(event.register.checked_sub(1)?).ok()?;
            (number < RTMRS).then_some((number, event))
        })
    }

    /// The values that RTMR 0 to 3 have after all events.
    #[must_use]
    pub fn replay(&self) -> [[u8; 48]; RTMRS] {
        let mut registers = [[0; 48]; RTMRS];
        for (number, event) in self.witnessed() {
            let Some(register) = registers.get_mut(number) else {
                continue;
            };
            let mut extended = Context::new(&SHA384);
            extended.update(register);
            extended.update(&event.digest);
            register.copy_from_slice(extended.finish().as_ref());
        }
        registers
    }

    /// Checks that the log replays to these values of RTMR 0 to 3.
    ///
    /// # Errors
    ///
    /// [`EventLogError::Mismatch`] with the first register that differs.
    pub fn check(&self, registers: &[[u8; 48]; RTMRS]) -> Result<(), EventLogError> {
        let replayed = self.replay();
        let mut pairs = replayed.iter().zip(registers);
        match pairs.position(|(replayed, register)| replayed != register) {
            Some(number) => Err(EventLogError::Mismatch(number)),
            None => Ok(()),
        }
    }
}

/// Whether these bytes begin a crypto agile log.
pub(crate) fn begins_log(bytes: &[u8]) -> bool {
    specification(&mut Bytes(bytes)).is_ok()
}

/// Reads the first event, which is in the older form; gives the algorithms with the sizes
/// of their digests.
fn specification(bytes: &mut Bytes<'_>) -> Result<Vec<(u16, usize)>, EventLogError> {
    bytes.u32()?;
    if bytes.u32()? != NO_ACTION {
        return Err(EventLogError::Specification);
    }
    bytes.take(20)?;
    let mut contents = bytes.sized()?;
    if contents.take(SPECIFICATION.len())? != SPECIFICATION {
        return Err(EventLogError::Specification);
    }
    // Platform class, version, errata, size of numbers.
    contents.take(8)?;
    let count = contents.u32()?;
    if !(1..=16).contains(&count) {
        return Err(EventLogError::Field("number of algorithms"));
    }
    let mut sizes = Vec::new();
    for _ in 0..count {
        let algorithm = contents.u16()?;
        sizes.push((algorithm, usize::from(contents.u16()?)));
    }
    Ok(sizes)
}

fn event(bytes: &mut Bytes<'_>, sizes: &[(u16, usize)]) -> Result<Event, EventLogError> {
    let register = bytes.u32()?;
    let kind = bytes.u32()?;
    let count = bytes.u32()?;
    if usize::try_from(count).map_or(true, |count| count > sizes.len()) {
        return Err(EventLogError::Field("number of digests"));
    }
    let mut digest = None;
    for _ in 0..count {
        let algorithm = bytes.u16()?;
        let known = sizes.iter().find(|(known, _)| *known == algorithm);
        let (_, size) = known.ok_or(EventLogError::Field("digest algorithm"))?;
        let value = bytes.take(*size)?;
        if algorithm == SHA384_ALGORITHM {
            digest = value.try_into().ok();
        }
    }
    let data = bytes.sized()?.0.to_vec();
    Ok(Event {
        register,
        kind,
        digest: digest.ok_or(EventLogError::Field("SHA-384 digest"))?,
        data,
    })
}

/// Firmware fills the rest of its buffer with zeros or ones.
fn is_unused(bytes: &Bytes<'_>) -> bool {
    let all = |value| bytes.0.iter().all(|byte| *byte == value);
    bytes.is_empty() || all(0) || all(0xff)
}

impl From<Truncated> for EventLogError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}
