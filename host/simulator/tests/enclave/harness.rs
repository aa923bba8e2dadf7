//! Builds an enclave, enters it, and gives each test a process of its own.

use std::arch::global_asm;
use std::process::Command;

use enarx_host_simulator::sgx::EnclaveIdentity;
use enarx_host_simulator::sgx::enclave::{
    Builder, Enclave, EnterFunction, Hardware, Refusal, SgxEnclaveRun,
};

use crate::{programs, signer};

pub const PAGE: u64 = 4096;
pub const SIZE: u64 = 1 << 20;
/// A page that may be written, and one that may only be read.
pub const DATA: u64 = 0x8000;
pub const CONSTANT: u64 = 0x9000;
/// The threads' TCSs, each followed by three SSA frames, a page that is absent, and a stack.
pub const THREADS: [u64; 2] = [0x10000, 0x20000];
/// Where there are no pages.
pub const ABSENT: u64 = 0x40000;

pub const TCS: u64 = 1 << 8;
pub const REGULAR: u64 = 2 << 8;
pub const READ: u64 = 1;
pub const WRITE: u64 = 2;
pub const EXECUTE: u64 = 4;
pub const PENDING: u64 = 8;
pub const MODIFIED: u64 = 16;
pub const RESTRICTED: u64 = 32;

/// Runs `test` in a process of its own: a process has one enclave.
pub fn in_own_process(name: &str, test: impl FnOnce()) {
    const VARIABLE: &str = "ENCLAVE_TEST";
    if std::env::var_os(VARIABLE).is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads", "1"])
        .env(VARIABLE, name)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

/// A SECS for an enclave of [`SIZE`].
/// Where the tests' enclaves lie.
pub const BASE: u64 = 0x1000_0000_0000;

pub fn secs() -> [u8; 4096] {
    let mut secs = [0; 4096];
    secs[..8].copy_from_slice(&SIZE.to_le_bytes());
    secs[8..16].copy_from_slice(&BASE.to_le_bytes());
    secs[16] = 1;
    secs[20] = 1;
    secs[48] = 4;
    secs[56] = 7;
    secs
}

pub fn secinfo(flags: u64) -> [u8; 64] {
    let mut secinfo = [0; 64];
    secinfo[..8].copy_from_slice(&flags.to_le_bytes());
    secinfo
}

/// A TCS at `offset` that is entered at `entry`.
pub fn tcs(offset: u64, entry: u64, nssa: u32) -> [u8; 4096] {
    let mut tcs = [0; 4096];
    tcs[16..24].copy_from_slice(&(offset + PAGE).to_le_bytes());
    tcs[28..32].copy_from_slice(&nssa.to_le_bytes());
    tcs[32..40].copy_from_slice(&entry.to_le_bytes());
    tcs[48..56].copy_from_slice(&(offset + 5 * PAGE).to_le_bytes());
    tcs[56..64].copy_from_slice(&(offset + 5 * PAGE).to_le_bytes());
    tcs
}

/// The pages of the tests' enclave.
pub fn layout(entry: u64) -> Vec<(u64, u64, [u8; 4096])> {
    let mut pages = Vec::new();
    for (index, code) in (0..).zip(programs::pages()) {
        pages.push((index * PAGE, REGULAR | READ | EXECUTE, code));
    }
    pages.push((DATA, REGULAR | READ | WRITE, [0; 4096]));
    pages.push((CONSTANT, REGULAR | READ, [7; 4096]));
    for thread in THREADS {
        pages.push((thread, TCS, tcs(thread, entry, 2)));
        for page in [1, 2, 3, 5] {
            let offset = thread + page * PAGE;
            pages.push((offset, REGULAR | READ | WRITE, [0; 4096]));
        }
    }
    pages
}

/// Builds all but the last step, and returns what MRENCLAVE must be.
pub fn construct(secs: &[u8; 4096], entry: u64) -> (Builder, [u8; 32]) {
    construct_from(secs, &layout(entry))
}

fn construct_from(secs: &[u8; 4096], pages: &[(u64, u64, [u8; 4096])]) -> (Builder, [u8; 32]) {
    let mut builder = Builder::create(secs).unwrap();
    for (offset, flags, contents) in pages {
        builder.add(*offset, &secinfo(*flags), contents).unwrap();
        builder.extend(*offset).unwrap();
    }
    (builder, mrenclave(pages))
}

/// An enclave that is entered at `entry`.
pub fn enclave(entry: u64) -> Enclave {
    enclave_of(&secs(), entry)
}

/// An enclave with this SECS.
pub fn enclave_of(secs: &[u8; 4096], entry: u64) -> Enclave {
    enclave_from(secs, &layout(entry))
}

/// An enclave with this SECS and these pages.
pub fn enclave_from(secs: &[u8; 4096], pages: &[(u64, u64, [u8; 4096])]) -> Enclave {
    let (builder, mrenclave) = construct_from(secs, pages);
    initialised(builder, secs, &mrenclave)
}

/// The one of [`enclave`], but fast, with what MRENCLAVE must be.
pub fn fast_enclave(entry: u64) -> (Enclave, [u8; 32]) {
    let (builder, mrenclave) = construct(&secs(), entry);
    (initialised(builder.fast(), &secs(), &mrenclave), mrenclave)
}

fn initialised(builder: Builder, secs: &[u8; 4096], mrenclave: &[u8; 32]) -> Enclave {
    let mut sigstruct = signer::unsigned(mrenclave);
    sigstruct[900] = secs[20];
    sigstruct[936] = secs[56];
    signer::sign(&mut sigstruct);
    builder.init(&sigstruct, Box::new(TestHardware)).unwrap()
}

/// The second computation of MRENCLAVE.
fn mrenclave(pages: &[(u64, u64, [u8; 4096])]) -> [u8; 32] {
    let mut log = b"ECREATE\0\x01\0\0\0".to_vec();
    log.extend_from_slice(&SIZE.to_le_bytes());
    log.resize(64, 0);
    for (offset, flags, contents) in pages {
        let start = log.len();
        log.extend_from_slice(b"EADD\0\0\0\0");
        log.extend_from_slice(&offset.to_le_bytes());
        log.extend_from_slice(&flags.to_le_bytes());
        log.resize(start + 64, 0);
        for (index, chunk) in contents.chunks(256).enumerate() {
            let start = log.len();
            log.extend_from_slice(b"EEXTEND\0");
            log.extend_from_slice(&(offset + 256 * index as u64).to_le_bytes());
            log.resize(start + 64, 0);
            log.extend_from_slice(chunk);
        }
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &log);
    digest.as_ref().try_into().unwrap()
}

/// Answers with what it was asked.
pub struct TestHardware;

impl Hardware for TestHardware {
    fn report(
        &self,
        identity: &EnclaveIdentity,
        target_info: &[u8; 512],
        report_data: &[u8; 64],
    ) -> Result<[u8; 432], Refusal> {
        let mut report = [0; 432];
        report[..32].copy_from_slice(&identity.mrenclave);
        report[32..64].copy_from_slice(&target_info[..32]);
        report[64..128].copy_from_slice(report_data);
        Ok(report)
    }

    fn key(&self, _: &EnclaveIdentity, request: &[u8; 512]) -> Result<[u8; 16], Refusal> {
        // An allocation and thread-local storage must work here.
        let name = std::thread::current().id();
        assert_eq!(
            format!("{name:?}"),
            format!("{:?}", std::thread::current().id())
        );
        match request[0] {
            4 => Ok([request[2]; 16]),
            _ => Err(Refusal::Status(256)),
        }
    }
}

/// What goes into the enclave's registers, and what comes out of them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Words {
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r8: u64,
    pub r9: u64,
}

global_asm!(
    r#"
    .pushsection .text.call_enclave, "ax", @progbits
    .globl call_enclave
    .hidden call_enclave
call_enclave:
    // RDI: words; ESI: leaf; RDX: run; RCX: function.
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    sub rsp, 24
    stmxcsr [rsp + 8]
    fnstcw [rsp + 12]
    mov [rsp + 16], rdi
    mov [rsp], rdx
    mov rax, rcx
    mov ecx, esi
    mov rsi, [rdi + 8]
    mov rdx, [rdi + 16]
    mov r8, [rdi + 24]
    mov r9, [rdi + 32]
    mov rdi, [rdi]
    call rax
    cld
    mov rcx, [rsp + 16]
    mov [rcx], rdi
    mov [rcx + 8], rsi
    mov [rcx + 16], rdx
    mov [rcx + 24], r8
    mov [rcx + 32], r9
    fninit
    ldmxcsr [rsp + 8]
    fldcw [rsp + 12]
    vzeroupper
    add rsp, 24
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
    .popsection
    "#
);

unsafe extern "C" {
    fn call_enclave(
        words: *mut Words,
        leaf: u32,
        run: *mut SgxEnclaveRun,
        function: EnterFunction,
    ) -> i32;
}

/// How the enclave was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Exit,
    Exception {
        function: u32,
        vector: u16,
        error_code: u16,
        address: u64,
    },
}

impl Left {
    /// An exception in the enclave, or of ERESUME, without more details.
    pub fn vector(self) -> Option<u16> {
        match self {
            Left::Exception {
                function: 3,
                vector,
                ..
            } => Some(vector),
            _ => None,
        }
    }

    /// An exception of EENTER itself.
    pub fn refusal(self) -> Option<u16> {
        match self {
            Left::Exception {
                function: 2,
                vector,
                ..
            } => Some(vector),
            _ => None,
        }
    }

    /// A page fault in the enclave.
    pub fn page_fault(error_code: u16, address: u64) -> Self {
        Left::Exception {
            function: 3,
            vector: 14,
            error_code,
            address,
        }
    }
}

/// Executes EENTER (2) or ERESUME (3).
pub fn enter(leaf: u32, tcs: u64, words: &mut Words) -> Left {
    let mut run = SgxEnclaveRun::new(tcs);
    // SAFETY: the structures outlive the call, and the trampoline saves all registers.
    let result = unsafe { call_enclave(words, leaf, &mut run, Enclave::enter_function()) };
    assert_eq!(result, 0);
    match run.function {
        4 => Left::Exit,
        function => Left::Exception {
            function,
            vector: run.exception_vector,
            error_code: run.exception_error_code,
            address: run.exception_addr,
        },
    }
}

/// Calls the function with any run structure.
pub fn call(leaf: u32, run: &mut SgxEnclaveRun) -> i32 {
    // SAFETY: as above.
    unsafe { call_enclave(&mut Words::default(), leaf, run, Enclave::enter_function()) }
}

/// The monitor of one thread of the enclave.
pub struct Monitor {
    pub enclave: Enclave,
    pub tcs: u64,
}

impl Monitor {
    pub fn new(enclave: Enclave, thread: usize) -> Self {
        Self {
            enclave,
            tcs: enclave.base() + THREADS[thread],
        }
    }

    fn command(&self, number: u64, rdx: u64, r8: u64, r9: u64, word: u64) -> (Left, Words) {
        let mut words = Words {
            rdi: &raw const word as u64,
            rsi: number,
            rdx,
            r8,
            r9,
        };
        let left = enter(2, self.tcs, &mut words);
        (left, words)
    }

    pub fn address(&self, offset: u64) -> u64 {
        self.enclave.base() + offset
    }

    /// The sum, and CSSA.
    pub fn sum(&self, one: u64, other: u64) -> (u64, u64) {
        let (left, words) = self.command(0, one, other, 0, 0);
        assert_eq!(left, Left::Exit);
        (words.rdi, words.rsi)
    }

    /// EXITINFO, MADDR, ERRCD and RIP as an offset, in the newest SSA frame.
    pub fn report(&self) -> (u64, u64, u64, u64) {
        let (left, words) = self.command(1, 0, 0, 0, 0);
        assert_eq!(left, Left::Exit);
        let rip = words.r8.wrapping_sub(self.enclave.base());
        (words.rdi, words.rsi, words.rdx & 0xffff_ffff, rip)
    }

    /// Moves interrupted code and sets its RAX. Returns its RAX, RCX, R11 and RSI of before.
    pub fn skip(&self, length: u64, rax: u64) -> Words {
        let (left, words) = self.command(2, length, rax, 0, 0);
        assert_eq!(left, Left::Exit);
        words
    }

    pub fn try_read(&self, address: u64) -> (Left, u64) {
        let (left, words) = self.command(3, address, 0, 0, 0);
        (left, words.rdi)
    }

    pub fn read(&self, offset: u64) -> u64 {
        let (left, value) = self.try_read(self.address(offset));
        assert_eq!(left, Left::Exit);
        value
    }

    pub fn try_write(&self, address: u64, value: u64) -> Left {
        self.command(4, address, value, 0, 0).0
    }

    pub fn write(&self, offset: u64, value: u64) {
        assert_eq!(self.try_write(self.address(offset), value), Left::Exit);
    }

    /// Calls code with `rax`. Returns its RAX and RBX.
    pub fn call(&self, address: u64, rax: u64) -> (Left, u64, u64) {
        let (left, words) = self.command(5, address, rax, 0, 0);
        (left, words.rdi, words.rsi)
    }

    /// Executes a leaf function with operands in RBX, RCX and RDX. Returns RAX and RFLAGS.
    pub fn leaf(&self, leaf: u64, rbx: u64, rcx: u64, rdx: u64) -> (Left, u64, u64) {
        let (left, words) = self.command(6, leaf, rbx, rcx, rdx);
        (left, words.rdi, words.rsi)
    }

    /// Executes a leaf function with a SECINFO of `flags`.
    pub fn with_secinfo(&self, leaf: u64, flags: u64, page: u64, source: u64) -> (Left, u64, u64) {
        self.write(DATA, flags);
        for offset in (8..64).step_by(8) {
            self.write(DATA + offset, 0);
        }
        self.leaf(
            leaf,
            self.address(DATA),
            self.address(page),
            self.address(source),
        )
    }

    /// Demands that a leaf function succeeds.
    pub fn done(&self, leaf: u64, flags: u64, page: u64, source: u64) {
        let (left, rax, _) = self.with_secinfo(leaf, flags, page, source);
        assert_eq!(
            (left, rax as u32),
            (Left::Exit, if leaf == 6 { 6 } else { 0 })
        );
    }

    /// Lets an interrupted command go on after the instruction that was refused.
    pub fn recover(&self, length: u64) {
        self.skip(length, 0);
        assert_eq!(self.resume().0, Left::Exit);
    }

    /// Goes on with interrupted code.
    pub fn resume(&self) -> (Left, Words) {
        let mut words = Words::default();
        let left = enter(3, self.tcs, &mut words);
        (left, words)
    }
}
