//! Programs: WebAssembly in its binary or its text format.

use std::{borrow::Cow, fmt};

use crate::{Digest, bounded, sha384};

/// The largest program that [`Program::new`] takes by default, in bytes.
/// Compilation needs about a hundred times the program's size in memory.
pub const DEFAULT_MAX_SIZE: usize = 256 << 20;

/// A WebAssembly program. It is recognized, but not yet validated. `Debug` does not
/// show it: it may be confidential.
#[derive(Clone)]
pub struct Program<'a> {
    wasm: Cow<'a, [u8]>,
    id: ProgramId,
}

/// What tells a program from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramId {
    /// Which of the two binary formats it has.
    pub kind: ProgramKind,
    /// SHA-384 of the program in the binary format.
    pub digest: Digest,
}

/// WebAssembly's two binary formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// A core module.
    Module,
    /// A component (of the component model).
    Component,
}

impl<'a> Program<'a> {
    /// Takes a program in the binary or the text format, of at most
    /// [`DEFAULT_MAX_SIZE`] bytes. Text is translated to the binary format.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] says what the bytes are instead.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, ProgramError> {
        Self::with_limit(bytes, DEFAULT_MAX_SIZE)
    }

    /// [`Program::new`] with another limit of size, in bytes.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] says what the bytes are instead.
    pub fn with_limit(bytes: impl Into<Cow<'a, [u8]>>, limit: usize) -> Result<Self, ProgramError> {
        let bytes = bytes.into();
        if bytes.len() > limit {
            return Err(ProgramError::TooLarge {
                size: bytes.len(),
                limit,
            });
        }
        let (wasm, kind) = binary(bytes)?;
        let digest = sha384(&[&wasm]);
        let id = ProgramId { kind, digest };
        Ok(Self { wasm, id })
    }

    /// The program in the binary format.
    #[must_use]
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// What tells it from all others.
    #[must_use]
    pub const fn id(&self) -> ProgramId {
        self.id
    }

    /// Which of the two binary formats it is.
    #[must_use]
    pub const fn kind(&self) -> ProgramKind {
        self.id.kind
    }

    /// SHA-384 of [`Program::wasm`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.id.digest
    }
}

impl fmt::Debug for Program<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Program")
            .field("kind", &self.kind())
            .field("bytes", &self.wasm.len())
            .finish_non_exhaustive()
    }
}

/// Why bytes are not a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// Something else than WebAssembly.
    #[error("not WebAssembly: this is {0}")]
    NotWebAssembly(&'static str),
    /// WebAssembly of a version that does not exist yet.
    #[error("WebAssembly of an unknown version (module version field {0:#010x})")]
    UnknownVersion(u32),
    /// The text format does not parse; the message shows the place.
    #[error("invalid WebAssembly text: {0}")]
    Text(String),
    /// More bytes than allowed.
    #[error("a program of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes of the program.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The binary format of a program in either format, and which of the two it is.
pub(crate) fn binary(bytes: Cow<'_, [u8]>) -> Result<(Cow<'_, [u8]>, ProgramKind), ProgramError> {
    let wasm = match text(&bytes) {
        Some(text) => {
            let wasm = wat::parse_str(text)
                .map_err(|error| ProgramError::Text(bounded(error.to_string())))?;
            Cow::Owned(wasm)
        }
        None => bytes,
    };
    let kind = recognize(&wasm)?;
    Ok((wasm, kind))
}

/// The preamble's second word (WebAssembly core specification, section 5.5.16;
/// component model `Binary.md`, "Component Definitions").
const MODULE_VERSION: u32 = 1;
const COMPONENT_VERSION: u32 = 0x0001_000d;

pub(crate) fn recognize(bytes: &[u8]) -> Result<ProgramKind, ProgramError> {
    match bytes {
        [b'\0', b'a', b's', b'm', version @ ..] => match version.first_chunk() {
            Some(version) => match u32::from_le_bytes(*version) {
                MODULE_VERSION => Ok(ProgramKind::Module),
                COMPONENT_VERSION => Ok(ProgramKind::Component),
                other => Err(ProgramError::UnknownVersion(other)),
            },
            None => Err(ProgramError::NotWebAssembly("a WebAssembly file cut short")),
        },
        _ => Err(ProgramError::NotWebAssembly(resemblance(bytes))),
    }
}

/// The text of a program in the text format: UTF-8 whose first character that is
/// not white space is a parenthesis or begins a comment.
fn text(bytes: &[u8]) -> Option<&str> {
    let start = bytes.trim_ascii_start();
    if !start.starts_with(b"(") && !start.starts_with(b";;") {
        return None;
    }
    str::from_utf8(bytes).ok()
}

/// Marks of other files that end up in a program's place.
const RESEMBLANCES: [(&[u8], &str); 14] = [
    (b"\x7fELF", "an ELF file (a native program or library)"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a Java class or a macOS program"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"!<arch>", "a static library"),
    (b"#!", "a script"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"{", "JSON"),
    (b"<", "HTML or XML"),
    (b"%PDF", "a PDF document"),
    (b"ENARXPKG", "an Enarx package"),
];

fn resemblance(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        return "an empty file";
    }
    // wasmtime's compiled programs are ELF files of an operating system of its
    // own (EI_OSABI).
    if bytes.starts_with(b"\x7fELF") && bytes.get(7) == Some(&200) {
        return "a program already compiled by wasmtime; give the .wasm itself";
    }
    let known = RESEMBLANCES
        .iter()
        .find(|(mark, _)| bytes.starts_with(mark));
    match known {
        Some((_, name)) => name,
        None if str::from_utf8(bytes).is_ok() => "a text file",
        None => "a file of an unknown format",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Program::new(bytes).unwrap_err().to_string()
    }

    #[test]
    fn both_formats_and_kinds_are_recognized() {
        let module = Program::new(b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(module.kind(), ProgramKind::Module);
        let text = Program::new(b"\n ;; nothing\n (module)").unwrap();
        assert_eq!(text.kind(), ProgramKind::Module);
        assert_eq!(text.wasm(), module.wasm());
        assert_eq!(text.digest(), module.digest());
        let component = Program::new(b"(component)").unwrap();
        assert_eq!(component.kind(), ProgramKind::Component);
    }

    #[test]
    fn other_files_are_named() {
        assert!(refusal(b"").contains("an empty file"));
        assert!(refusal(b"\x7fELF\x02\x01\x01\0").contains("an ELF file"));
        assert!(refusal(b"\x7fELF\x02\x01\x01\xc8").contains("already compiled"));
        assert!(refusal(b"#!/bin/sh\n").contains("a script"));
        assert!(refusal(b"hello").contains("a text file"));
        assert!(refusal(b"\xff\xfe\0").contains("unknown format"));
        assert!(refusal(b"\0asm\x01").contains("cut short"));
        assert_eq!(
            Program::new(b"\0asm\x02\0\0\0").unwrap_err(),
            ProgramError::UnknownVersion(2)
        );
    }

    #[test]
    fn bad_text_shows_the_place() {
        let message = refusal(b"(module\n  (func (export \"x\") i32.nonsense))");
        assert!(
            message.contains("i32.nonsense") && message.contains(":2:"),
            "{message}"
        );
    }

    #[test]
    fn size_is_limited() {
        assert_eq!(
            Program::with_limit(b"\0asm\x01\0\0\0", 7).unwrap_err(),
            ProgramError::TooLarge { size: 8, limit: 7 }
        );
    }
}
