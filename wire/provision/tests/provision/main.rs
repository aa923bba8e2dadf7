//! Attest, package, provision between an owner and a Keep, with an adversary for a
//! host.

mod conversation;
mod derivation;
mod encoding;
mod keys;
mod lingering;
mod sample;
mod vectors;
