//! The `kvm` backend with the shim of the image, and with a runtime of the tests' own that does what
//! it is told over the channel.
//!
//! The test's program is executed again as a Keep's process, so it has a `main` of its own.

#[cfg(target_arch = "x86_64")]
mod elf;
#[cfg(target_arch = "x86_64")]
mod machine;

fn main() {
    #[cfg(target_arch = "x86_64")]
    machine::main();
}
