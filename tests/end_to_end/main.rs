//! The whole: the real command, real processes, real sockets on loopback.

mod commands;
mod deploy;
mod harness;
mod hostile;
mod run;
mod tamper;
