//! What was found out about a program file, for when it is named again.
//!
//! A large program takes longer to hash than to start. A file that is, by all that the system
//! says of it, the one that was hashed before is taken for that: the way of version control and
//! build systems. Who changes a file's content changes what the system says of it, but for what is
//! written within the same step of its clock, which must have passed before the file is read, and
//! for what is written to memory that maps the file: the first such write counts after the file
//! was written to its disk, and that is done before it is read. Files that are not on a disk of this
//! machine are read each time.
//!
//! A file of the cache is:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | the text `ENARXPRG` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | CRC-32 of what follows |
//! | 16 | 8 | device |
//! | 24 | 8 | inode |
//! | 32 | 8 | size in bytes |
//! | 40 | 16 | time of its content's last change, in seconds and nanoseconds |
//! | 56 | 16 | the same of its last change of any kind |
//! | 72 | 1 | 1 for a module, 2 for a component |
//! | 73 | 48 | SHA-384 of the program |
//!
//! Integers are little-endian. Its name is made of device and inode: a file whose content was
//! replaced takes its own place.

use crate::{ProgramId, ProgramKind, sha384, source::FileState};

/// The name of the file about a program file that is in `state`.
pub(super) fn name(state: &FileState) -> String {
    let digest = sha384(&[&state.device.to_le_bytes(), &state.inode.to_le_bytes()]);
    format!("{}.{EXTENSION}", hex::encode(&digest[..24]))
}

/// The extension of such files.
pub(super) const EXTENSION: &str = "program";

pub(super) const SIZE: usize = 121;

pub(super) fn encode(state: &FileState, program: &ProgramId) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(b"ENARXPRG");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    bytes[16..24].copy_from_slice(&state.device.to_le_bytes());
    bytes[24..32].copy_from_slice(&state.inode.to_le_bytes());
    bytes[32..40].copy_from_slice(&state.size.to_le_bytes());
    bytes[40..48].copy_from_slice(&state.modified.0.to_le_bytes());
    bytes[48..56].copy_from_slice(&state.modified.1.to_le_bytes());
    bytes[56..64].copy_from_slice(&state.changed.0.to_le_bytes());
    bytes[64..72].copy_from_slice(&state.changed.1.to_le_bytes());
    bytes[72] = match program.kind {
        ProgramKind::Module => 1,
        ProgramKind::Component => 2,
    };
    bytes[73..].copy_from_slice(&program.digest);
    let checksum = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What program is in a file in `state`; `None` when `bytes` are of another state, or damaged.
pub(super) fn decode(bytes: &[u8; SIZE], state: &FileState) -> Option<ProgramId> {
    let mut program = ProgramId {
        kind: match bytes[72] {
            1 => ProgramKind::Module,
            2 => ProgramKind::Component,
            _ => return None,
        },
        digest: [0; 48],
    };
    program.digest.copy_from_slice(&bytes[73..]);
    (encode(state, &program) == *bytes).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: FileState = FileState {
        device: 1,
        inode: 2,
        size: 3,
        modified: (4, 5),
        changed: (6, 7),
    };

    #[test]
    fn nothing_but_what_was_kept_is_recalled() {
        for kind in [ProgramKind::Module, ProgramKind::Component] {
            let program = ProgramId {
                kind,
                digest: [0x5a; 48],
            };
            let bytes = encode(&STATE, &program);
            assert_eq!(decode(&bytes, &STATE), Some(program));
            for place in 0..SIZE {
                for bit in 0..8 {
                    let mut damaged = bytes;
                    damaged[place] ^= 1 << bit;
                    assert_eq!(decode(&damaged, &STATE), None, "byte {place} bit {bit}");
                }
            }
            for other in [
                FileState { device: 9, ..STATE },
                FileState { inode: 9, ..STATE },
                FileState { size: 9, ..STATE },
                FileState {
                    modified: (4, 9),
                    ..STATE
                },
                FileState {
                    modified: (9, 5),
                    ..STATE
                },
                FileState {
                    changed: (6, 9),
                    ..STATE
                },
                FileState {
                    changed: (9, 7),
                    ..STATE
                },
            ] {
                assert_eq!(decode(&bytes, &other), None, "{other:?}");
            }
        }
        assert_ne!(name(&STATE), name(&FileState { inode: 9, ..STATE }));
        assert_eq!(name(&STATE), name(&FileState { size: 9, ..STATE }));
    }
}
