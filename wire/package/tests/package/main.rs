//! The package format against what a host, a disk or a careless caller may do.

mod manifest;
mod memory;
mod sample;
mod stream;
mod vectors;
mod writing;
