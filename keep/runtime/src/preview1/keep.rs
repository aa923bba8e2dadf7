//! `enarx_keep`: what a module learns about itself and its Keep, and its keys, as
//! [`crate::workload`] has them. Functions give an error number of preview 1.

use enarx_wire_package::Digest;
use wasmtime::{Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::types::Errno;

use crate::workload::{EvidenceError, KeyError, KeyScope, MAX_CONTEXT, MAX_NONCE, Workload};

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
/// // The key for a context of at most 1024 bytes, the same in every deployment: of the
/// // application (scope 0), or of this very program (scope 1). ENOENT: the deployment has no
/// // secret that keys could come from.
/// int derive_key(uint32_t scope, const uint8_t *context, size_t context_length,
///                uint8_t key[32]);
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
    linker.func_wrap(
        MODULE,
        "derive_key",
        move |mut caller: Caller<'_, T>, scope: u32, context: u32, context_length: u32, to: u32| {
            let context = (context, context_length);
            answer(derive_key(&mut caller, get, scope, context, to))
        },
    )?;
    Ok(())
}

fn evidence<T>(
    caller: &mut Caller<'_, T>,
    get: fn(&mut T) -> &Workload,
    nonce: (u32, u32),
    (to, room): (u32, u32),
    used: u32,
) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let mut buffer = [0; MAX_NONCE];
    let nonce = read(memory, caller, nonce, &mut buffer)?;
    let evidence = get(caller.data_mut())
        .evidence(nonce)
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

fn derive_key<T>(
    caller: &mut Caller<'_, T>,
    get: fn(&mut T) -> &Workload,
    scope: u32,
    context: (u32, u32),
    to: u32,
) -> Result<(), Errno> {
    let memory = memory(caller)?;
    let scope = match scope {
        0 => KeyScope::Application,
        1 => KeyScope::Program,
        _ => return Err(Errno::Inval),
    };
    let mut buffer = [0; MAX_CONTEXT];
    let context = read(memory, caller, context, &mut buffer)?;
    let key = get(caller.data_mut())
        .key(scope, context)
        .map_err(|error| match error {
            KeyError::ContextLength => Errno::Inval,
            KeyError::NoSecret => Errno::Noent,
        })?;
    write(memory, caller, to, &*key)
}

fn memory<T>(caller: &mut Caller<'_, T>) -> Result<Memory, Errno> {
    let exported = caller.get_export("memory").and_then(Extern::into_memory);
    exported.ok_or(Errno::Fault)
}

/// The bytes of a program at an address, and of a length, for which `buffer` has room.
fn read<'a, T>(
    memory: Memory,
    caller: &Caller<'_, T>,
    (from, length): (u32, u32),
    buffer: &'a mut [u8],
) -> Result<&'a [u8], Errno> {
    let taken = buffer.get_mut(..length as usize).ok_or(Errno::Inval)?;
    (memory.read(caller, from as usize, taken)).map_err(|_| Errno::Fault)?;
    Ok(taken)
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
