//! What SEV-SNP's firmware gives to a guest, and what it says: formats alone, without any access
//! to the machine.

pub mod cpuid;
pub mod message;
pub mod secrets;
