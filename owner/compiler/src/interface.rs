//! What a program imports and exports, read without validating the rest.

use std::{
    borrow::Cow,
    io::{self, BufRead, Cursor, Read as _, Seek},
};

use wasmparser::{
    BinaryReader, ComponentExportSectionReader, ComponentImportSectionReader, ExportSectionReader,
    ImportSectionReader,
};

use crate::{ProgramError, ProgramKind, bounded, program};

/// What a program wants from around it, and what it offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Which of WebAssembly's formats it has.
    pub kind: ProgramKind,
    /// A module's imports as module and name; a component's as its own name and nothing.
    pub imports: Vec<(String, String)>,
    /// Names of exports.
    pub exports: Vec<String>,
}

impl Interface {
    /// The interface of a program in the binary or the text format.
    ///
    /// # Errors
    ///
    /// [`InterfaceError`] when it is no WebAssembly, or its sections are malformed.
    pub fn of(bytes: &[u8]) -> Result<Self, InterfaceError> {
        let (wasm, _) = program::binary(Cow::Borrowed(bytes))?;
        Self::read(Cursor::new(&wasm), wasm.len() as u64)
    }

    /// [`Interface::of`] the `size` bytes of `source`, in the binary format, of which only these
    /// sections are read.
    ///
    /// # Errors
    ///
    /// As [`Interface::of`], and when `source` cannot be read.
    pub fn read(mut source: impl BufRead + Seek, size: u64) -> Result<Self, InterfaceError> {
        let mut preamble = Vec::new();
        (&mut source)
            .take(PREAMBLE_SIZE)
            .read_to_end(&mut preamble)?;
        let mut interface = Self {
            kind: program::recognize(&preamble)?,
            imports: Vec::new(),
            exports: Vec::new(),
        };
        let mut left = size.saturating_sub(PREAMBLE_SIZE);
        while left > 0 {
            let section = Section::begin(&mut source, &mut left)?;
            // Modules and components within a component are sections of their own, with
            // interfaces of their own.
            match (interface.kind, section.id) {
                (ProgramKind::Module, MODULE_IMPORTS | MODULE_EXPORTS)
                | (ProgramKind::Component, COMPONENT_IMPORTS | COMPONENT_EXPORTS) => {
                    let mut bytes = Vec::new();
                    (&mut source).take(section.size).read_to_end(&mut bytes)?;
                    interface.add(section.id, BinaryReader::new(&bytes, 0))?;
                }
                _ => {
                    source.seek_relative(i64::try_from(section.size).map_err(io::Error::other)?)?
                }
            }
        }
        Ok(interface)
    }

    /// Adds what the section `id` of imports or exports says.
    fn add(&mut self, id: u8, section: BinaryReader<'_>) -> Result<(), InterfaceError> {
        match id {
            MODULE_IMPORTS => {
                for import in ImportSectionReader::new(section)?.into_imports() {
                    let import = import?;
                    let pair = (import.module.to_owned(), import.name.to_owned());
                    self.imports.push(pair);
                }
            }
            MODULE_EXPORTS => {
                for export in ExportSectionReader::new(section)? {
                    self.exports.push(export?.name.to_owned());
                }
            }
            COMPONENT_IMPORTS => {
                for import in ComponentImportSectionReader::new(section)? {
                    let name = import?.name.name.to_owned();
                    self.imports.push((name, String::new()));
                }
            }
            _ => {
                for export in ComponentExportSectionReader::new(section)? {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Bytes before the first section (WebAssembly core specification, section 5.5.16; component
/// model `Binary.md`, "Component Definitions").
const PREAMBLE_SIZE: u64 = 8;

/// Sections of modules (WebAssembly core specification, section 5.5.2) and of components
/// (component model `Binary.md`, "Component Definitions").
const MODULE_IMPORTS: u8 = 2;
const MODULE_EXPORTS: u8 = 7;
const COMPONENT_IMPORTS: u8 = 10;
const COMPONENT_EXPORTS: u8 = 11;

/// What stands before the content of each section.
struct Section {
    id: u8,
    size: u64,
}

impl Section {
    /// The most bytes in which a section's size is encoded: an unsigned LEB128 number of 32 bits.
    const MAX_SIZE_BYTES: u32 = 5;

    /// Reads up to the section's content, all of which is in the next `left` bytes; `left` is
    /// what comes after it then.
    fn begin(source: &mut impl BufRead, left: &mut u64) -> Result<Self, InterfaceError> {
        let malformed = || InterfaceError::Malformed("a section is cut short".into());
        let mut next = || {
            let mut byte = [0];
            *left = left.checked_sub(1).ok_or_else(malformed)?;
            source.read_exact(&mut byte)?;
            Ok::<u8, InterfaceError>(byte[0])
        };
        let id = next()?;
        let mut size = 0;
        for place in 0..Self::MAX_SIZE_BYTES {
            let byte = next()?;
            size |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                *left = left.checked_sub(size).ok_or_else(malformed)?;
                return Ok(Self { id, size });
            }
        }
        Err(InterfaceError::Malformed(
            "a section's size takes too many bytes".into(),
        ))
    }
}

/// Why a program's interface cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// Not a program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A section that is not one.
    #[error("invalid WebAssembly: {0}")]
    Malformed(String),
    /// Its file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl From<io::Error> for InterfaceError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<wasmparser::BinaryReaderError> for InterfaceError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed(bounded(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_imports_and_exports() {
        let interface = Interface::of(
            b"(module (import \"a\" \"b\" (func)) (import \"a\" \"c\" (memory 1))
                (func (export \"_start\")))",
        )
        .unwrap();
        let pair = |name: &str| ("a".to_owned(), name.to_owned());
        assert_eq!(interface.kind, ProgramKind::Module);
        assert_eq!(interface.imports, [pair("b"), pair("c")]);
        assert_eq!(interface.exports, ["_start"]);
    }

    #[test]
    fn what_is_inside_a_component_is_its_own() {
        let interface = Interface::of(
            b"(component (import \"wasi:cli/exit@0.2.0\" (instance))
                (core module (import \"x\" \"y\" (func)) (func (export \"z\")))
                (component (import \"inner\" (instance)))
                (import \"wasi:cli/stdin@0.2.0\" (instance $i))
                (export \"e\" (instance $i)))",
        )
        .unwrap();
        let names: Vec<_> = interface
            .imports
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(interface.kind, ProgramKind::Component);
        assert_eq!(names, ["wasi:cli/exit@0.2.0", "wasi:cli/stdin@0.2.0"]);
        assert_eq!(interface.exports, ["e"]);
    }

    #[test]
    fn damage_is_told() {
        for sections in [
            &b"\x02\x05\x01"[..],
            b"\x02",
            b"\x02\x01\x01",
            b"\x00\x80",
            b"\x00\x80\x80\x80\x80\x80\0",
            b"\x0a\xff\xff\xff\xff\x0f",
        ] {
            let malformed = Interface::of(&[b"\0asm\x01\0\0\0", sections].concat());
            let malformed = malformed.unwrap_err();
            assert!(
                matches!(malformed, InterfaceError::Malformed(_)),
                "{malformed}"
            );
        }
        let other = Interface::of(b"#!/bin/sh").unwrap_err();
        assert!(matches!(other, InterfaceError::Program(_)));
    }
}
