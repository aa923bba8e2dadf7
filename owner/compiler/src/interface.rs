//! What a program imports and exports, read without validating the rest.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};

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
        let (wasm, kind) = program::binary(Cow::Borrowed(bytes))?;
        let mut interface = Self {
            kind,
            imports: Vec::new(),
            exports: Vec::new(),
        };
        // Modules and components within a component have interfaces of their own.
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(&wasm) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let pair = (import.module.to_owned(), import.name.to_owned());
                        interface.imports.push(pair);
                    }
                }
                Payload::ComponentImportSection(imports) => {
                    for import in imports {
                        let name = import?.name.name.to_owned();
                        interface.imports.push((name, String::new()));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        interface.exports.push(export?.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) => {
                    for export in exports {
                        interface.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
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
        let malformed = Interface::of(b"\0asm\x01\0\0\0\x02\x05\x01").unwrap_err();
        assert!(matches!(malformed, InterfaceError::Malformed(_)));
        let other = Interface::of(b"#!/bin/sh").unwrap_err();
        assert!(matches!(other, InterfaceError::Program(_)));
    }
}
