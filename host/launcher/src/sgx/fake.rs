//! An enclave of closures, for tests.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use enarx_wire_hostcall::call::{Caller, Leave, Operation};
use enarx_wire_launch::sgx::layout;

use super::enclave::{EEXIT, Enclave, EnterFunction, Run};
use super::run::EnclaveKeep;
use super::services::{EnclaveServices, Quoting};
use crate::service::{Outside, Technology, services};

/// Where no test's enclave lies yet.
static NEXT_BASE: AtomicU64 = AtomicU64::new(1 << 40);

type Script = Box<dyn FnMut(Entry<'_>) -> (u64, u64) + Send>;

/// The scripts of all threads of all tests, by the addresses of their thread control
/// structures.
static SCRIPTS: Mutex<Option<HashMap<u64, Arc<Mutex<Script>>>>> = Mutex::new(None);

/// One entry into a thread.
pub struct Entry<'a> {
    pub leaf: u32,
    pub block: u64,
    pub run: &'a mut Run,
}

impl Entry<'_> {
    /// Leaves with a request.
    pub fn call(&self, operation: Operation, arguments: [u64; 4], payload: &[u8]) -> (u64, u64) {
        let base = NonNull::new(self.block as *mut u8).unwrap();
        // SAFETY: the block of the thread that is entered, which outlives the entry.
        let mut caller = unsafe { Caller::new(base) };
        let _ = caller
            .stage(operation, arguments, &[payload])
            .unwrap()
            .commit();
        (Leave::Call as u64, 0)
    }

    /// The result of the request before.
    pub fn result(&self) -> i64 {
        // SAFETY: a word of the block, which is mapped.
        unsafe { ((self.block + 72) as *const i64).read_volatile() }
    }

    /// Leaves by an exception.
    pub fn exception(&mut self, function: u32, vector: u16, address: u64) -> (u64, u64) {
        self.run.function = function;
        self.run.exception_vector = vector;
        self.run.exception_address = address;
        (0, 0)
    }
}

#[repr(C)]
struct Registers {
    rax: u64,
    rdx: u64,
}

/// Returns in RDI and RSI what [`enter_script`] returns in RAX and RDX.
#[unsafe(naked)]
unsafe extern "C" fn enter_fake(
    _rdi: u64,
    _rsi: u64,
    _rdx: u64,
    _leaf: u32,
    _r8: u64,
    _r9: u64,
    _run: *mut Run,
) -> i32 {
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov esi, ecx",
        "mov rdx, [rbp + 16]",
        "call {script}",
        "mov rdi, rax",
        "mov rsi, rdx",
        "xor eax, eax",
        "pop rbp",
        "ret",
        script = sym enter_script,
    )
}

extern "C" fn enter_script(block: u64, leaf: u32, run: *mut Run) -> Registers {
    // SAFETY: the run loop lends it for the call.
    let run = unsafe { &mut *run };
    let script = SCRIPTS.lock().unwrap();
    let script = script.as_ref().and_then(|all| all.get(&run.tcs).cloned());
    run.function = EEXIT;
    let script = script.expect("a script for the thread that was entered");
    let (rax, rdx) = (script.lock().unwrap())(Entry { leaf, block, run });
    Registers { rax, rdx }
}

/// An enclave whose threads are scripts.
pub struct FakeEnclave {
    base: u64,
    pub restricted: Arc<Mutex<Vec<(u64, u64, u64)>>>,
}

impl FakeEnclave {
    pub fn new() -> Self {
        Self {
            base: NEXT_BASE.fetch_add(layout::ENCLAVE_SIZE, Ordering::SeqCst),
            restricted: Arc::default(),
        }
    }

    /// What thread `index` does each time that it is entered: it gives RDI and RSI.
    pub fn thread(&self, index: u32, script: impl FnMut(Entry<'_>) -> (u64, u64) + Send + 'static) {
        let tcs = self.base + layout::thread_window(index) + layout::thread::TCS;
        let mut scripts = SCRIPTS.lock().unwrap();
        let script: Script = Box::new(script);
        scripts
            .get_or_insert_default()
            .insert(tcs, Arc::new(Mutex::new(script)));
    }
}

impl Enclave for FakeEnclave {
    fn base(&self) -> u64 {
        self.base
    }

    fn enter_function(&self) -> EnterFunction {
        enter_fake
    }

    fn attach_thread(&self) -> io::Result<Box<dyn Any>> {
        Ok(Box::new(()))
    }

    fn restrict(&self, offset: u64, pages: u64, access: u64) -> io::Result<()> {
        if pages == 0 {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        self.restricted
            .lock()
            .unwrap()
            .push((offset, pages, access));
        Ok(())
    }

    fn trim(&self, offset: u64, pages: u64) -> io::Result<()> {
        self.restrict(offset, pages, TRIM)
    }

    fn remove(&self, offset: u64, pages: u64) -> io::Result<()> {
        self.restrict(offset, pages, REMOVE)
    }
}

/// What is noted instead of an access.
pub const TRIM: u64 = 100;
pub const REMOVE: u64 = 101;

/// Quotes that are the report twice; none of an empty report.
struct FakeQuoting;

impl Quoting for FakeQuoting {
    fn target(&self) -> io::Result<[u8; 512]> {
        Ok([0x51; 512])
    }

    fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>> {
        if report.is_empty() {
            return Err(io::Error::other("no report"));
        }
        Ok(report.repeat(2))
    }
}

/// An enclave of scripts with `threads` threads.
pub fn keep(enclave: FakeEnclave, threads: u32) -> (EnclaveKeep, Outside) {
    let enclave: Arc<dyn Enclave> = Arc::new(enclave);
    let technology = EnclaveServices {
        enclave: Arc::clone(&enclave),
        quoting: Box::new(FakeQuoting),
    };
    let (services, outside) = services(Box::new(technology), threads);
    (EnclaveKeep { enclave, services }, outside)
}

/// The services of an enclave that can restrict access and make quotes.
pub fn technology(enclave: FakeEnclave) -> Box<dyn Technology> {
    Box::new(EnclaveServices {
        enclave: Arc::new(enclave),
        quoting: Box::new(FakeQuoting),
    })
}
