//! A hostile host, and what a Keep makes of it: the Keep is either right or stopped, and a
//! secret that it has never comes out.
//!
//! The Keep is the real shim and a small program, in a simulated enclave. The test's program is
//! executed again for each Keep, so it has a `main` of its own. With part of a scenario's name
//! as an argument it runs that alone.

#[cfg(target_arch = "x86_64")]
mod adversary;
#[cfg(target_arch = "x86_64")]
mod elf;

fn main() {
    #[cfg(target_arch = "x86_64")]
    adversary::main();
}
