//! A host that runs one Keep, honestly but for what [`Lies`] change, and looks for the Keep's
//! secret in everything that comes out.

mod block;
mod judge;
mod service;

use enarx_host_simulator::sgx::Machine;
use enarx_host_simulator::sgx::enclave::{
    Enclave, INTERRUPT_VECTOR, Interference, SgxEnclaveRun, ThreadAttachment,
};
use enarx_wire_hostcall::call::{Leave, Request};
use enarx_wire_launch::sgx::layout;

use super::crossing::Crossing;
use super::launch::{self, THREADS};
use block::Block;
use judge::search;

pub use block::Answer;

pub const EENTER: u32 = 2;
pub const ERESUME: u32 = 3;
const EEXIT: u32 = 4;

/// Why a Keep stops when it is entered where it must not be. What was interrupted is not
/// looked at then.
const ENTERED_WRONGLY: u64 = 12;

/// What a hostile host does. All that is not overridden is honest.
pub trait Lies {
    /// Changes how a thread is entered.
    fn entry(&mut self, _: &mut Host, _: &mut Entry) {}

    /// Changes an answer before it is given.
    fn answer(&mut self, _: &mut Host, _: &Call, _: &mut Answer) {}

    /// The leaf function after an interrupt; `at` is where it came.
    fn interrupted(&mut self, _: &mut Host, _thread: usize, _at: u64) -> u32 {
        ERESUME
    }

    /// An exception came; the enclave's handler is entered next.
    fn excepted(&mut self, _: &mut Host) {}

    /// The leaf function after the Keep asked to be resumed.
    fn resumed(&mut self, _: &mut Host) -> u32 {
        ERESUME
    }

    /// A thread has ended.
    fn thread_ended(&mut self, _: &mut Host, _thread: usize) {}

    /// The leaf function after the processor refused an entry; 0 to give up.
    fn refused(&mut self, _: &mut Host) -> u32 {
        0
    }
}

/// One entry.
pub struct Entry {
    pub thread: usize,
    pub leaf: u32,
    pub crossing: Box<Crossing>,
}

/// A request.
pub struct Call {
    pub thread: usize,
    /// How many were made before, by all threads.
    pub number: usize,
    pub request: Request,
}

/// How a Keep ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    /// It stopped itself, with this reason.
    Aborted(u64),
    /// Nobody is let in any more.
    Refused,
    /// An exception that the enclave is not told about, or that happens again and again.
    Faulted(u16),
    /// All threads wait for each other: the host has ended one that they wait for.
    Stuck,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Runs(u32),
    Parked,
    Ended,
}

struct Thread {
    state: State,
    block: Block,
    /// Save areas in use.
    depth: u32,
    is_begun: bool,
    /// The call that it waits with.
    waiting: Option<Call>,
    permits: u32,
}

/// The host of one Keep. Its threads take turns in one thread of the host.
pub struct Host {
    pub enclave: Enclave,
    pub attachment: ThreadAttachment,
    /// Lies told, interrupts made.
    pub faults: u64,
    skips_restrictions: bool,
    /// Whether nobody ever waits.
    pub wakes_early: bool,
    /// The thread whose turn it is until it waits.
    preferred: Option<usize>,
    /// The thread that stopped the Keep, if one did in the middle of something.
    stopped_by: Option<usize>,
    /// Whether the runtime has said that it ends.
    exit_asked: bool,
    machine: Machine,
    threads: Vec<Thread>,
    calls: usize,
    entries: u64,
    faults_in_a_row: u32,
    diagnostics: Vec<u8>,
    received: Vec<u8>,
    sent: Vec<u8>,
    input: Vec<Option<&'static [u8]>>,
}

/// Entries after which a Keep is said to hang.
const MOST_ENTRIES: u64 = 50_000_000;

/// Exceptions one behind the other that get it nowhere: nobody grows a stack by so many pages.
const MOST_FAULTS: u32 = 1000;

impl Host {
    pub fn new((enclave, machine): (Enclave, Machine)) -> Self {
        let thread = || Thread {
            state: State::New,
            block: Block::new(),
            depth: 0,
            is_begun: false,
            waiting: None,
            permits: 0,
        };
        Self {
            attachment: enclave.attach_thread().unwrap(),
            enclave,
            faults: 0,
            skips_restrictions: false,
            wakes_early: false,
            preferred: None,
            stopped_by: None,
            exit_asked: false,
            machine,
            threads: (0..THREADS).map(|_| thread()).collect(),
            calls: 0,
            entries: 0,
            faults_in_a_row: 0,
            diagnostics: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
            // At first there is nothing to read.
            input: vec![Some(service::INPUT), None],
        }
    }

    /// Runs the Keep from its first entry to its end, and makes sure that it has ended well or
    /// been stopped.
    pub fn run(&mut self, lies: &mut dyn Lies) -> Ending {
        self.threads[0].state = State::Runs(EENTER);
        let ending = self.go_on(lies);
        self.judge(&ending);
        ending
    }

    /// Goes on until the Keep ends.
    fn go_on(&mut self, lies: &mut dyn Lies) -> Ending {
        loop {
            let runs = |index: &usize| matches!(self.threads[*index].state, State::Runs(_));
            let preferred = self.preferred.into_iter();
            let Some(index) = preferred.chain(0..self.threads.len()).find(runs) else {
                return Ending::Stuck;
            };
            self.preferred = Some(index);
            if let Some(ending) = self.visit(index, lies) {
                return ending;
            }
        }
    }

    /// Where the shim's code lies.
    pub fn shim(&self) -> std::ops::Range<u64> {
        self.enclave.base() + layout::SHIM..self.enclave.base() + layout::LAUNCH_PAGE
    }

    /// Gives or takes access to the page of the shim where it is entered, as page tables do.
    pub fn let_entry_page_be_accessed(&self, accessible: bool) {
        let page = self.shim().start + launch::shim_entry() / 4096 * 4096;
        let protection = if accessible {
            libc::PROT_READ | libc::PROT_EXEC
        } else {
            libc::PROT_NONE
        };
        // SAFETY: a page of the enclave's code, which no code of the host's uses.
        let result = unsafe { libc::mprotect(page as *mut _, 4096, protection) };
        assert_eq!(result, 0);
    }

    /// Lets interrupts arrive at every instruction of the shim.
    pub fn interrupt_everywhere(&self, entry_flags: u64) {
        let mut interference = Interference::default();
        interference.interrupted = self.shim();
        interference.entry_flags = entry_flags;
        self.attachment.interfere(&interference);
    }

    /// Calls that the Keep made.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Whether a thread was never entered since it last began.
    pub fn is_first(&self, thread: usize) -> bool {
        !self.threads[thread].is_begun
    }

    /// Lets a thread run up to its first call, or until it ends the Keep, although the Keep
    /// may not have asked for it.
    pub fn run_beside(&mut self, index: usize) -> Option<Ending> {
        self.threads[index].state = State::Runs(EENTER);
        let calls = self.calls;
        while self.calls == calls && matches!(self.threads[index].state, State::Runs(_)) {
            if let Some(ending) = self.visit(index, &mut Honest) {
                self.threads[index].state = State::Ended;
                return Some(ending);
            }
        }
        None
    }

    /// Lets a thread that waits for an answer be resumed instead.
    pub fn resume_next(&mut self, thread: usize) {
        self.threads[thread].state = State::Runs(ERESUME);
        self.preferred = Some(thread);
    }

    /// Gives a thread its turn, if it runs.
    pub fn prefer(&mut self, thread: usize) {
        self.preferred = Some(thread);
    }

    /// Claims from now on to restrict pages, and does not.
    pub fn skip_restrictions(&mut self) {
        self.skips_restrictions = true;
    }

    pub fn depth(&self, thread: usize) -> u32 {
        self.threads[thread].depth
    }

    /// Enters once, and says how the enclave was left.
    pub fn enter(&mut self, entry: &mut Entry) -> Left {
        self.entries += 1;
        assert!(self.entries < MOST_ENTRIES, "the Keep hangs");
        let tcs =
            self.enclave.base() + layout::thread_window(entry.thread as u32) + layout::thread::TCS;
        let mut run = SgxEnclaveRun::new(tcs);
        let before = self.enclave.statistics();
        entry.crossing.enter(entry.leaf, &mut run);
        let after = self.enclave.statistics();
        let thread = &mut self.threads[entry.thread];
        if after.eresume + after.eenter == before.eresume + before.eenter {
            return Left::Refused;
        }
        thread.is_begun = true;
        thread.depth -= u32::from(entry.leaf == ERESUME);
        if run.function == EEXIT {
            if let Some(register) = entry.crossing.not_cleared() {
                panic!("register {register} came out of the enclave");
            }
            let [code, detail, ..] = entry.crossing.left;
            return Left::Exit(
                Leave::from_code(code).expect("a reason for leaving"),
                detail,
            );
        }
        thread.depth += 1;
        search("registers", &entry.crossing.visible());
        match run.exception_vector {
            INTERRUPT_VECTOR => Left::Interrupt(self.attachment.interrupted_at()),
            vector => Left::Exception(vector),
        }
    }

    /// An honest entry of a thread.
    pub fn entry(&self, thread: usize, leaf: u32) -> Entry {
        Entry {
            thread,
            leaf,
            crossing: Box::new(Crossing::new(self.threads[thread].block.address())),
        }
    }

    fn visit(&mut self, index: usize, lies: &mut dyn Lies) -> Option<Ending> {
        let State::Runs(leaf) = self.threads[index].state else {
            return None;
        };
        let mut entry = self.entry(index, leaf);
        lies.entry(self, &mut entry);
        let left = self.enter(&mut entry);
        if !matches!(left, Left::Exception(_) | Left::Exit(Leave::Resume, _)) {
            self.faults_in_a_row = 0;
        }
        let next = match left {
            Left::Refused => match lies.refused(self) {
                0 => return Some(Ending::Refused),
                leaf => leaf,
            },
            Left::Interrupt(at) => lies.interrupted(self, index, at),
            Left::Exception(vector) => {
                self.faults_in_a_row += 1;
                if self.faults_in_a_row == MOST_FAULTS || self.threads[index].depth > 1 {
                    return Some(Ending::Faulted(vector));
                }
                lies.excepted(self);
                EENTER
            }
            Left::Exit(Leave::Resume, _) => lies.resumed(self),
            Left::Exit(Leave::Abort, reason) => {
                if reason != ENTERED_WRONGLY {
                    self.stopped_by = Some(index);
                }
                return Some(Ending::Aborted(reason));
            }
            Left::Exit(Leave::ThreadEnded, _) if self.exit_asked => return Some(Ending::Refused),
            Left::Exit(Leave::ThreadEnded, _) => {
                self.threads[index].state = State::Ended;
                self.threads[index].is_begun = false;
                lies.thread_ended(self, index);
                return None;
            }
            Left::Exit(Leave::Call, _) => return self.serve(index, lies),
        };
        if self.threads[index].state == State::Runs(leaf) {
            self.threads[index].state = State::Runs(next);
        }
        None
    }
}

/// How the enclave was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was not entered at all.
    Refused,
    Interrupt(u64),
    Exception(u16),
    Exit(Leave, u64),
}

/// Tells no lies.
pub struct Honest;

impl Lies for Honest {}
