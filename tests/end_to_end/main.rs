//! The whole: the real command, real processes, real sockets on loopback.

mod commands;
mod confidential_vm;
mod confinement;
mod deploy;
mod differential;
mod harness;
mod hostile;
mod keys;
mod machines;
mod run;
mod sgx;
mod sockets;
mod tamper;
mod verify;
