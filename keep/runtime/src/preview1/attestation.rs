//! `enarx_keep`: what a module learns about itself and its Keep, as [`crate::workload`] has
//! it. Functions give an error number of preview 1.

use enarx_wire_package::Digest;
use wasmtime::{Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::types::Errno;

use crate::workload::{EvidenceError, MAX_NONCE, Workload};

const MODULE: &str = "enarx_keep";

/// Adds the functions to `linker`; `get` finds what they tell:
///
/// ```c
/// // SHA-384 of the program's .wasm, what evidence calls the application, SHA-384 of the
/// // Keep's runtime.
/// int program_digest(uint8_t digest[48]);
/// int application_identity(uint8_t identity[48]);
/// int runtime_digest(uint8_t digest[48]);
/// // Evidence for a nonce of at most 64 bytes. `used` is its size, which may be more than
/// // there is room for: then it is EOVERFLOW, and nothing else is written.
/// int evidence(const uint8_t *nonce, size_t nonce_length,
///              uint8_t *evidence, size_t room, size_t *used);
/// ```
///
/// # Errors
///
/// When a function is there already.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> &Workload,
) -> wasmtime::Result<()> {
    type Told = fn(&Workload) -> Digest;
    let digests: [(&str, Told); 3] = [
        ("program_digest", |workload| workload.program),
        ("application_identity", |workload| workload.application),
        ("runtime_digest", |workload| workload.launch.runtime_digest),
    ];
    for (name, digest) in digests {
        linker.func_wrap(MODULE, name, move |mut caller: Caller<'_, T>, to: u32| {
            let digest = digest(get(caller.data_mut()));
            answer(memory(&mut caller).and_then(|memory| write(memory, &mut caller, to, &digest)))
        })?;
    }
    linker.func_wrap(
        MODULE,
        "evidence",
        move |mut caller: Caller<'_, T>,
              nonce: u32,
              nonce_length: u32,
              to: u32,
              room: u32,
              used: u32| {
            answer(evidence(
                &mut caller,
                get,
                (nonce, nonce_length),
                (to, room),
                used,
            ))
        },
    )?;
    Ok(())
}

fn evidence<T>(
    caller: &mut Caller<'_, T>,
    get: fn(&mut T) -> &Workload,
    (nonce, nonce_length): (u32, u32),
    (to, room): (u32, u32),
    used: u32,
) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let mut buffer = [0; MAX_NONCE];
    let taken = buffer
        .get_mut(..nonce_length as usize)
        .ok_or(Errno::Inval)?;
    memory
        .read(&*caller, nonce as usize, taken)
        .map_err(|_| Errno::Fault)?;
    let evidence = get(caller.data_mut())
        .evidence(taken)
        .map_err(|error| match error {
            EvidenceError::NonceLength => Errno::Inval,
            EvidenceError::Device(_) => Errno::Io,
        })?;
    let size = u32::try_from(evidence.len()).map_err(|_| Errno::Overflow)?;
    write(memory, caller, used, &size.to_le_bytes())?;
    if size > room {
        return Err(Errno::Overflow);
    }
    write(memory, caller, to, &evidence)
}

fn memory<T>(caller: &mut Caller<'_, T>) -> Result<Memory, Errno> {
    let exported = caller.get_export("memory").and_then(Extern::into_memory);
    exported.ok_or(Errno::Fault)
}

fn write<T>(
    memory: Memory,
    caller: &mut Caller<'_, T>,
    to: u32,
    bytes: &[u8],
) -> Result<(), Errno> {
    (memory.write(caller, to as usize, bytes)).map_err(|_| Errno::Fault)
}

fn answer(result: Result<(), Errno>) -> i32 {
    let error = result.err().unwrap_or(Errno::Success);
    i32::from(u16::from(error))
}
