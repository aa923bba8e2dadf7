//! A host that plays SEV-SNP and, at one moment, does something that it must not.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use enarx_wire_hostcall::attestation::{AnswerHeader, REPORT_DATA_SIZE, RequestHeader};
use enarx_wire_hostcall::call::Leave;
use enarx_wire_launch::vm::{GuestPageKind, GuestPages, layout};
use enarx_wire_launch::{PAGE_SIZE, Platform};
use kvm_bindings::CpuId;
use rustix::io::Errno;

use super::program::{self, CANARY, DENIED, DIAGNOSTICS, REPORT_BYTE, REPORT_SIZE, RIGHT};
use crate::kvm::machine::Machine;
use crate::kvm::memory::Memory;
use crate::kvm::played::{Marks, PageStates, Playable, PlayableSnp, Played};
use crate::kvm::processor::Exit;
use crate::kvm::services::DeviceEvidence;
use crate::kvm::software;
use crate::service::{Served, Starter, services};

/// How a Keep ended that met such a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The program says that all was right, and nothing speaks against it.
    Right,
    /// It was refused something, and knows it.
    Denied,
    /// The Keep stopped itself, for this reason.
    Stopped(u8),
    /// Hardware would not let it go on.
    Halted,
}

/// A moment at which the host can do something.
pub enum Moment<'a> {
    /// A page is loaded.
    Load(GuestPageKind, &'a mut [u8; PAGE_SIZE]),
    /// The guest reads a register, and is to get this.
    Read(u64, &'a mut u64),
    /// The guest leaves by its GHCB, with this code; the host does what it asks unless this says otherwise.
    Before(u64, &'a mut bool),
    /// It has done so.
    After(u64),
    /// The guest has called its host, which has answered.
    Answered,
}

/// What the host has in its hands at that moment.
#[derive(Clone)]
pub struct Hand {
    shared: Shared,
    pages: Arc<PageStates>,
}

#[derive(Clone, Copy)]
struct Shared {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: memory that is shared by its nature; all access is volatile.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Hand {
    /// The word at an offset from the first processor's block.
    pub fn read(&self, offset: u64) -> u64 {
        // SAFETY: within the memory, which outlives the machine; all callers stay in the block.
        unsafe { self.word(offset).read_volatile() }
    }

    /// Writes it.
    pub fn write(&self, offset: u64, value: u64) {
        // SAFETY: as in `read`.
        unsafe { self.word(offset).write_volatile(value) };
    }

    /// Gives another page in the place of this one.
    pub fn take_away(&self, address: u64) {
        self.pages.take_away(address);
    }

    /// Makes a page private and accepts it in the guest's place.
    pub fn accept(&self, address: u64) {
        let _ = self.pages.make_private(address, 1);
        let _ = self.pages.accept(address, 1);
    }

    fn word(&self, offset: u64) -> NonNull<u64> {
        let offset = (layout::BLOCKS - layout::BOOT_PAGE + offset) as usize;
        assert!(offset.is_multiple_of(8) && offset < self.shared.size);
        // SAFETY: within the memory, by the line above.
        unsafe { self.shared.base.byte_add(offset) }.cast()
    }
}

/// What the host does at each moment. Before there is a machine, it has nothing in its hands.
pub type Act = Box<dyn FnMut(Moment<'_>, Option<&Hand>) + Send>;

/// Runs one Keep that meets `act`; panics if it was wrong, or if its secret got out.
pub fn run(act: Act) -> End {
    run_with_intruder(act, None)
}

/// The same, for a host that also starts the second processor, which nobody asked for, after so many calls
/// of the first one.
pub fn run_with_intruder(act: Act, calls: Option<usize>) -> End {
    let runtime = program::file();
    let image = program::image(&runtime);
    let (ours, device) = UnixStream::pair().unwrap();
    let act = Arc::new(Mutex::new(act));
    let hand = Arc::new(Mutex::new(None));
    let tee = HostilePlayable {
        honest: PlayableSnp::new(DeviceEvidence::new(ours)).unwrap(),
        act: Arc::clone(&act),
        hand: Arc::clone(&hand),
    };
    let answering = std::thread::spawn(move || answer_reports(device));
    let pages = GuestPages::played(Platform::Snp, &image, MEMORY).unwrap();
    let ring = software::body_ring();
    let machine = Machine::new(&image, &pages, MEMORY, ring, Some(Box::new(tee))).unwrap();
    let hand: Hand = hand.lock().unwrap().clone().unwrap();
    let (_, nobody) = UnixStream::pair().unwrap();
    let (services, mut outside) = services(Box::new(DeviceEvidence::new(nobody)), 1);
    outside.channel.write_all(b"?").unwrap();

    let processor = machine.processor(0).unwrap();
    let block = machine.block(0);
    let mut payload = Vec::new();
    let mut made = 0;
    let end = loop {
        if calls == Some(made) {
            let left = machine.processor(1).unwrap().run();
            let stops =
                matches!(&left, Exit::Doorbell(value) if value & 0xFF == Leave::Abort as u32);
            assert!(stops || matches!(left, Exit::Other(_)), "{left:?}");
        }
        made += 1;
        let value = match processor.run() {
            Exit::Doorbell(value) => value,
            Exit::Other(_) => break End::Halted,
        };
        match Leave::from_code(u64::from(value & 0xFF)) {
            Some(Leave::Call) => {}
            Some(Leave::Abort) => break End::Stopped((value >> 8) as u8),
            other => panic!("{other:?}"),
        }
        let request = block.request().unwrap();
        payload.clear();
        payload.resize(request.length, 0);
        block.payload(&mut payload);
        match services.serve(0, &request, &mut payload, &NoThreads) {
            Served::Answer(result) => block.answer(&request, result, &payload),
            Served::Exit(RIGHT) => break End::Right,
            Served::Exit(DENIED) => break End::Denied,
            Served::Exit(status) => panic!("the program was wronged: {status}"),
        }
        act.lock().unwrap()(Moment::Answered, Some(&hand));
    };
    // Nothing of it runs any more but its refusal.
    if matches!(end, End::Stopped(_)) {
        for _ in 0..3 {
            let again = processor.run();
            let stays =
                matches!(&again, Exit::Doorbell(value) if value & 0xFF == Leave::Abort as u32);
            assert!(stays || matches!(again, Exit::Other(_)), "{again:?}");
        }
    }
    let diagnostics = outside.diagnostics();
    assert!(DIAGNOSTICS.starts_with(&diagnostics), "{diagnostics}");
    if end == End::Right {
        let mut echo = [0; 1];
        outside.channel.read_exact(&mut echo).unwrap();
        // What it reads is the host's to choose.
        assert!([b'?', !b'?'].contains(&echo[0]));
        assert_eq!(diagnostics, DIAGNOSTICS);
    }
    assert!(!hand.shared.contains(CANARY), "the Keep's secret got out");
    drop((processor, machine));
    let _ = answering.join();
    end
}

const MEMORY: u64 = 16 << 20;

impl Shared {
    fn contains(&self, word: u64) -> bool {
        // SAFETY: within the memory, in which no machine runs now.
        let bytes = unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.size) };
        // What nobody wrote is not there in memory yet, and would be made.
        let block = (layout::BLOCKS - layout::BOOT_PAGE) as usize;
        let stride = layout::BLOCK_STRIDE as usize;
        bytes[..block + stride]
            .windows(8)
            .step_by(1)
            .any(|found| found == word.to_le_bytes())
    }
}

/// The launcher's end of the device: reports that begin with what they were asked for.
fn answer_reports(mut device: UnixStream) {
    let mut request = [0; RequestHeader::SIZE + REPORT_DATA_SIZE];
    while device.read_exact(&mut request).is_ok() {
        let mut report = request[RequestHeader::SIZE..].to_vec();
        report.resize(REPORT_SIZE, REPORT_BYTE);
        let header = AnswerHeader::new(REPORT_SIZE).unwrap().encode();
        if device.write_all(&[&header[..], &report].concat()).is_err() {
            return;
        }
    }
}

struct NoThreads;

impl Starter for NoThreads {
    fn start(&self, _: u32) -> Result<(), Errno> {
        Err(Errno::AGAIN)
    }
}

type SharedAct = Arc<Mutex<Act>>;

struct HostilePlayable {
    honest: PlayableSnp,
    act: SharedAct,
    hand: Arc<Mutex<Option<Hand>>>,
}

impl Playable for HostilePlayable {
    fn marks(&self) -> Marks {
        self.honest.marks()
    }

    fn contents(&self, kind: GuestPageKind, cpuid: &CpuId) -> Option<[u8; PAGE_SIZE]> {
        let mut contents = self.honest.contents(kind, cpuid)?;
        self.act.lock().unwrap()(Moment::Load(kind, &mut contents), None);
        Some(contents)
    }

    fn play(self: Box<Self>, pages: Arc<PageStates>, shared: &Memory) -> Arc<dyn Played> {
        let hand = Hand {
            shared: Shared {
                base: shared.base(),
                size: shared.size() as usize,
            },
            pages: Arc::clone(&pages),
        };
        *self.hand.lock().unwrap() = Some(hand.clone());
        Arc::new(Hostile {
            honest: Box::new(self.honest).play(pages, shared),
            act: self.act,
            hand,
        })
    }
}

struct Hostile {
    honest: Arc<dyn Played>,
    act: SharedAct,
    hand: Hand,
}

/// Offset in a GHCB of the exit's code.
const CODE: u64 = layout::GHCB + 0x390;

impl Played for Hostile {
    fn write(&self, processor: u32, register: u64, value: u64) -> Result<Option<u32>, String> {
        let is_exit = layout::DOORBELL + register == layout::played::GHCB && value & 0xFFF == 0;
        let mut act = self.act.lock().unwrap();
        if !is_exit {
            return self.honest.write(processor, register, value);
        }
        let code = self.hand.read(CODE);
        let mut does = true;
        act(Moment::Before(code, &mut does), Some(&self.hand));
        let left = if does {
            self.honest.write(processor, register, value)
        } else {
            Ok(None)
        };
        act(Moment::After(code), Some(&self.hand));
        left
    }

    fn read(&self, processor: u32, register: u64) -> Result<u64, String> {
        let mut value = self.honest.read(processor, register)?;
        self.act.lock().unwrap()(Moment::Read(register, &mut value), Some(&self.hand));
        Ok(value)
    }
}
