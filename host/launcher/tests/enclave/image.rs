//! A Keep image whose shim is a few instructions.

use std::arch::global_asm;

use enarx_wire_launch::sgx::{layout, runtime_pages_digest};
use enarx_wire_launch::{KeepImage, SgxImage, VmImage};

use crate::elf::{Part, static_pie};

// The shim, entered with its call block in RDI, the save areas in use in EAX, and where to
// return to in RCX. It remembers nothing but what it finds in the block: the host of this test
// is honest.
//
// Words of the block: 0 sequence, 8 operation, 16 length, 24... arguments, 72 result, 80 its
// length; the payload is at 4096.
global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "enarx_test_shim:",
    "mov rbx, rcx",
    "test eax, eax",
    "jnz 70f",
    "cmp qword ptr [rdi], 0",
    "je 10f",
    "cmp qword ptr [rdi + 8], 11",
    "je 81f",
    "cmp qword ptr [rdi + 8], 12",
    "je 81f",
    "cmp qword ptr [rdi + 8], 2",
    "jne 20f",
    "cmp qword ptr [rdi + 72], 1",
    "jne 20f",
    "movzx eax, byte ptr [rdi + 4096]",
    "cmp al, 'x'",
    "je 30f",
    "cmp al, 'a'",
    "je 40f",
    "cmp al, 'l'",
    "je 50f",
    "cmp al, 'u'",
    "je 60f",
    "cmp al, 'e'",
    "je 80f",
    "cmp al, 't'",
    "je 82f",
    "cmp al, 'q'",
    "je 83f",
    // Asks for a command.
    "20: mov qword ptr [rdi + 8], 2",
    "mov qword ptr [rdi + 16], 0",
    "mov qword ptr [rdi + 24], 3",
    "mov qword ptr [rdi + 32], 1",
    "jmp 90f",
    // Says hello.
    "10: mov qword ptr [rdi + 8], 1",
    "mov qword ptr [rdi + 16], 5",
    "movabs rax, 0x6f6c6c6568",
    "mov [rdi + 4096], rax",
    "jmp 90f",
    // Ends with status 7.
    "30: mov qword ptr [rdi + 8], 8",
    "mov qword ptr [rdi + 16], 0",
    "mov qword ptr [rdi + 24], 7",
    "jmp 90f",
    // Sends "echo".
    "80: mov qword ptr [rdi + 8], 3",
    "mov qword ptr [rdi + 16], 4",
    "mov qword ptr [rdi + 24], 3",
    "mov dword ptr [rdi + 4096], 0x6f686365",
    "jmp 90f",
    // Sends what the host has answered.
    "81: mov rax, [rdi + 80]",
    "mov qword ptr [rdi + 8], 3",
    "mov [rdi + 16], rax",
    "mov qword ptr [rdi + 24], 3",
    "jmp 90f",
    // Asks for the quoting enclave's target information.
    "82: mov qword ptr [rdi + 8], 11",
    "mov qword ptr [rdi + 16], 0",
    "jmp 90f",
    // Asks for a quote of what lies there.
    "83: mov qword ptr [rdi + 8], 12",
    "mov qword ptr [rdi + 16], 432",
    "jmp 90f",
    // Gives up.
    "40: mov esi, 42",
    "41: mov edi, 3",
    "jmp 91f",
    // Never returns.
    "50: jmp 50b",
    // Raises an exception.
    "60: ud2",
    // The exception's handler: gives up with its vector (EXITINFO in the save area's last 184
    // bytes, of which it is at 160), a page behind the thread control structure.
    "70: lea rax, [rip + enarx_test_shim]",
    "mov esi, [rax + {exit_info}]",
    "and esi, 0xff",
    "add esi, 1000",
    "jmp 41b",
    // Leaves with the request.
    "90: inc qword ptr [rdi]",
    "xor edi, edi",
    "xor esi, esi",
    "91: mov eax, 4",
    "enclu",
    "enarx_test_shim_end:",
    ".popsection",
    // From the code, at 0x1000, to the first save area's EXITINFO.
    exit_info = const layout::THREADS - layout::SHIM + 0x2000 + 0x1000 - 184 + 160 - 0x1000,
);

unsafe extern "C" {
    static enarx_test_shim: u8;
    static enarx_test_shim_end: u8;
}

/// The files of the image.
pub struct Image {
    shim: Vec<u8>,
    runtime: Vec<u8>,
}

impl Image {
    pub fn new() -> Self {
        // SAFETY: both symbols are defined above, around bytes that never change.
        let code = unsafe {
            let start = &raw const enarx_test_shim;
            let end = &raw const enarx_test_shim_end;
            std::slice::from_raw_parts(start, end.addr() - start.addr())
        };
        Self {
            shim: elf(code),
            runtime: elf(b"never run"),
        }
    }

    pub fn keep_image(&self) -> KeepImage<'_> {
        KeepImage {
            runtime: &self.runtime,
            runtime_digest: [1; 48],
            sgx: SgxImage {
                shim: &self.shim,
                runtime_pages_digest: runtime_pages_digest(&self.runtime).unwrap(),
            },
            vm: VmImage::default(),
        }
    }
}

/// A static-PIE file that is `code` alone.
fn elf(code: &[u8]) -> Vec<u8> {
    let size = code.len() as u64;
    static_pie(code, &[Part { access: 5, size }])
}
