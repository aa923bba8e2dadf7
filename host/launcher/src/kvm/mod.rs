//! The backends `kvm`, `snp` and `tdx`: a Keep in a virtual machine of its own. That of `kvm` its host can read, and
//! so can those of `snp` and `tdx` where the host plays the TEE (`played`). On hardware they have never run.
//!
//! ```text
//! launch() ── launch page ── child::begin ──► this program as `enarx-kvm-keep`:
//!    ▲                            │             pages, memory, machine, confinement
//!    │ ◄────── "running" ─────────┤             threads: KVM_RUN, serve, ...
//!    └─ channel, process          └─ serves evidence over its launch digest (descriptor 4)
//! ```
//!
//! It is for development, and for finding out on any machine with KVM how a Keep in a
//! confidential VM runs: the shim inside is the same. The evidence is simulated, and nothing
//! protects the Keep from its host.

mod backend;
mod guest_memory;
mod hardware;
mod keep_process;
mod launch;
mod machine;
mod memory;
mod order;
mod played;
mod processor;
mod quote_buffer;
mod quoting_service;
mod run;
mod services;
mod shared_memory;
mod software;
mod tee;

#[cfg(all(test, target_arch = "x86_64"))]
mod adversary;
#[cfg(all(test, target_arch = "x86_64"))]
#[path = "../../tests/elf/mod.rs"]
mod elf;
#[cfg(all(test, target_arch = "x86_64"))]
mod qemu;

pub use backend::KvmBackend;
pub(crate) use keep_process::{NAME as PROCESS_NAME, run as run_keep};
pub(crate) use software::is_software;
