//! A host that may play a TEE and, at one moment, does something that it must not.

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

use super::program::{self, CANARY, DENIED, DIAGNOSTICS, FORGED, REPORT_BYTE, REPORT_SIZE, RIGHT};
use crate::kvm::machine::Machine;
use crate::kvm::memory::Memory;
use crate::kvm::played::{Marks, PageStates, Playable, Played, playable};
use crate::kvm::processor::Exit;
use crate::kvm::services::{DeviceEvidence, MachineServices};
use crate::kvm::software;
use crate::service::{Served, Starter, services};

/// How a Keep ended that met such a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The program says that all was right, and nothing speaks against it.
    Right,
    /// It was refused something, and knows it.
    Denied,
    /// It has evidence that is none, which its owner can tell.
    Forged,
    /// The Keep stopped itself, for this reason.
    Stopped(u8),
    /// Hardware would not let it go on.
    Halted,
}

/// A moment at which the host can do something.
pub enum Moment<'a> {
    /// The machine is loaded.
    Start,
    /// A page is loaded.
    Load(GuestPageKind, &'a mut [u8; PAGE_SIZE]),
    /// The guest reads a register, and is to get this.
    Read(u64, &'a mut u64),
    /// The guest leaves for something with this number, by its GHCB or `TDG.VP.VMCALL`; the host does what it
    /// asks unless this says otherwise.
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
    private: Option<Shared>,
    pages: Option<Arc<PageStates>>,
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

    /// Writes how the host wants to be spoken to.
    pub fn write_boot_page(&self, value: u64) {
        // SAFETY: as in `read`.
        unsafe { self.shared.base.cast::<u64>().write_volatile(value) };
    }

    /// Writes something to private memory, where no TEE is in the way, or to pages that the guest has not accepted.
    pub fn spoil(&self, address: u64, bytes: u64) {
        if let Some(pages) = &self.pages {
            return pages.spoil(address, bytes / PAGE_SIZE as u64);
        }
        let private = self.private.unwrap();
        let (offset, bytes) = ((address - layout::PRIVATE) as usize, bytes as usize);
        assert!(offset + bytes <= private.size);
        // SAFETY: within the memory, by the line above, which outlives the machine.
        unsafe { private.base.add(offset).write_bytes(0xA5, bytes) };
    }

    /// Gives another page in the place of this one.
    pub fn take_away(&self, address: u64) {
        self.pages.as_ref().unwrap().take_away(address);
    }

    /// Makes a page private and accepts it in the guest's place.
    pub fn accept(&self, address: u64) {
        let pages = self.pages.as_ref().unwrap();
        let _ = pages.make_private(address, 1);
        let _ = pages.accept(address, 1);
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

/// A processor that the host starts, and that nobody asked for.
#[derive(Debug, Clone, Copy)]
pub struct Intruder {
    /// Calls that the first processor has made then.
    pub after: usize,
    /// The index that it begins with.
    pub index: u32,
}

/// Runs one Keep that meets `act`; panics if it was wrong, or if its secret got out.
pub fn run(platform: Platform, act: Act, intruder: Option<Intruder>) -> End {
    run_giving_back(platform, act, intruder, 0)
}

/// The same with a program that gives so many bytes back again and again.
pub fn run_giving_back(
    platform: Platform,
    act: Act,
    intruder: Option<Intruder>,
    given_back: u32,
) -> End {
    let memory_bytes = MEMORY + u64::from(given_back);
    let runtime = program::file(given_back);
    let image = program::image(&runtime);
    let (ours, device) = UnixStream::pair().unwrap();
    let act = Arc::new(Mutex::new(act));
    let played = Arc::new(Mutex::new(None));
    let evidence = DeviceEvidence::new(ours.try_clone().unwrap());
    let tee = playable(platform, evidence).unwrap().map(|honest| {
        Box::new(HostilePlayable {
            honest,
            act: Arc::clone(&act),
            pages: Arc::clone(&played),
        }) as Box<dyn Playable>
    });
    let answering = std::thread::spawn(move || answer_reports(device));
    let pages = match &tee {
        Some(_) => GuestPages::played(platform, &image, memory_bytes),
        None => GuestPages::new(platform, &image, memory_bytes),
    };
    let ring = software::body_ring();
    let machine = Machine::new(&image, &pages.unwrap(), memory_bytes, ring, tee).unwrap();
    let hand = Hand {
        shared: Shared::of(machine.shared()),
        private: machine.private().as_deref().map(Shared::of),
        pages: played.lock().unwrap().take(),
    };
    let (services, mut outside) = services(
        Box::new(MachineServices::new(
            DeviceEvidence::new(ours),
            machine.private(),
        )),
        1,
    );
    outside.channel.write_all(b"?").unwrap();
    act.lock().unwrap()(Moment::Start, Some(&hand));

    let processor = machine.processor(0).unwrap();
    let block = machine.block(0);
    let mut payload = Vec::new();
    let mut made = 0;
    let end = loop {
        if let Some(Intruder { after, index }) = intruder
            && after == made
        {
            let second = machine.processor(1).unwrap();
            second.pretend(index);
            let mut left = second.run();
            let is = |left: &Exit, leave: Leave| match left {
                Exit::Doorbell(value) => value & 0xFF == leave as u32,
                Exit::Other(_) => false,
            };
            // It was asked for to help with hashing the runtime, once, and this host has said that it does not.
            if after == 1 && is(&left, Leave::ThreadEnded) {
                left = second.run();
            }
            let stops = is(&left, Leave::Abort);
            // Its own index may stop the Keep. Another one gets it nowhere.
            let hangs = matches!(&left, Exit::Other(what) if what.starts_with("Hlt"));
            assert!(stops && index == 1 || hangs, "{left:?}");
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
            Served::Exit(FORGED) => break End::Forged,
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
    drop((processor, machine, services));
    let _ = answering.join();
    end
}

const MEMORY: u64 = 16 << 20;

impl Shared {
    fn of(memory: &Memory) -> Self {
        Self {
            base: memory.base(),
            size: memory.size() as usize,
        }
    }

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
    honest: Box<dyn Playable>,
    act: SharedAct,
    pages: Arc<Mutex<Option<Arc<PageStates>>>>,
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

    fn resets(&self) -> bool {
        self.honest.resets()
    }

    fn play(self: Box<Self>, pages: Arc<PageStates>, shared: &Memory) -> Arc<dyn Played> {
        let hand = Hand {
            shared: Shared::of(shared),
            private: None,
            pages: Some(Arc::clone(&pages)),
        };
        *self.pages.lock().unwrap() = Some(Arc::clone(&pages));
        Arc::new(Hostile {
            honest: self.honest.play(pages, shared),
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

/// Offset in a block of the code in its GHCB.
const CODE: u64 = layout::GHCB + 0x390;

/// Offsets in a block of registers of a call of the TDX module: the function (RAX), and if that is to ask the
/// host, what comes of it (R10) and what it is asked for (R11).
const TDX_LEAF: u64 = layout::TDX_CALL;
pub const TDX_STATUS: u64 = layout::TDX_CALL + 8 * 5;
pub const TDX_FUNCTION: u64 = layout::TDX_CALL + 8 * 6;

impl Hostile {
    /// What the guest leaves for, if it leaves for the host.
    fn asked(&self, register: u64, value: u64) -> Option<u64> {
        const HOST: u64 = 0;
        match layout::DOORBELL + register {
            layout::played::GHCB if value & 0xFFF == 0 => Some(self.hand.read(CODE)),
            layout::played::TDCALL if self.hand.read(TDX_LEAF) == HOST => {
                Some(self.hand.read(TDX_FUNCTION))
            }
            _ => None,
        }
    }
}

impl Played for Hostile {
    fn write(&self, processor: u32, register: u64, value: u64) -> Result<Option<u32>, String> {
        let mut act = self.act.lock().unwrap();
        let Some(code) = self.asked(register, value) else {
            return self.honest.write(processor, register, value);
        };
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
