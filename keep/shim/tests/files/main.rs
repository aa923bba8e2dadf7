//! System calls on files, made in the Keep's file system and in the kernel's alike.
//!
//! Each call is made twice, with the same arguments: [`Files`](enarx_keep_shim::file::Files)
//! answers it, and so does Linux, in a directory of a `tmpfs` that was made the root. What they
//! answer and what they write to memory must be the same.

mod both;
mod descriptors;
mod isolation;
mod limits;
mod memory;
mod paths;
mod random;
mod rename;
mod sizes;
mod waiting;
