//! The `sgx` backend with the simulator, and with a shim of the tests' own that does what it
//! is told over the channel.
//!
//! The test's program is executed again as a Keep's process, so it has a `main` of its own.

#[cfg(target_arch = "x86_64")]
mod aesm;
#[cfg(target_arch = "x86_64")]
mod elf;
#[cfg(target_arch = "x86_64")]
mod enclave;

fn main() {
    #[cfg(target_arch = "x86_64")]
    enclave::main();
}
