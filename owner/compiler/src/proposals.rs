//! Names the WebAssembly proposals that a program needs and Keeps do not have.

use enarx_wire_target::Calls;
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// The proposals that `wasm` needs beyond those that a Keep's runtime has for these `calls`.
///
/// # Errors
///
/// The reason, when the program is invalid whatever proposals are allowed.
pub fn missing(wasm: &[u8], calls: Calls) -> Result<Vec<&'static str>, BinaryReaderError> {
    let validate = |features| Validator::new_with_features(features).validate_all(wasm);
    validate(WasmFeatures::all())?;
    let is_there =
        |feature: &WasmFeatures| *feature == WasmFeatures::CM_ASYNC && calls == Calls::Asynchronous;
    // A proposal is needed if the program is not valid without it.
    Ok(NAMES
        .iter()
        .filter(|(feature, _)| !is_there(feature))
        .filter(|(feature, _)| validate(WasmFeatures::all() - *feature).is_err())
        .map(|(_, name)| *name)
        .collect())
}

/// The proposals that `enarx_wire_target` does not enable.
const NAMES: [(WasmFeatures, &str); 17] = [
    (WasmFeatures::THREADS, "threads"),
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything-threads",
    ),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "legacy exception handling"),
    (WasmFeatures::STACK_SWITCHING, "stack-switching"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide-arithmetic"),
    (WasmFeatures::MEMORY_CONTROL, "memory-control"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom-descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact-import-section"),
    (WasmFeatures::CM_VALUES, "component model values"),
    (
        WasmFeatures::CM_ASYNC,
        "component model async (but for `preview3 = true` under [wasi] of Enarx.toml)",
    ),
    (
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "component model more async built-ins",
    ),
    (
        WasmFeatures::CM_ASYNC_STACKFUL,
        "component model async with stacks",
    ),
    (WasmFeatures::CM_THREADING, "component model threads"),
    (
        WasmFeatures::CM_ERROR_CONTEXT,
        "component model error-context",
    ),
    (
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        "component model fixed-length lists",
    ),
    (WasmFeatures::CM_GC, "component model GC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_named() {
        let needs = |text| missing(&wat::parse_str(text).unwrap(), Calls::Synchronous).ok();
        assert_eq!(
            needs("(module (memory 1 (pagesize 1)))"),
            Some(vec!["custom-page-sizes"])
        );
        assert_eq!(
            needs(
                "(module (func (param i64 i64 i64 i64) (result i64 i64)
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))"
            ),
            Some(vec!["wide-arithmetic"])
        );
        assert_eq!(
            needs("(module (func try nop catch_all nop end))"),
            Some(vec!["legacy exception handling"])
        );
        assert_eq!(needs("(module (func (result i32)))"), None);
        assert_eq!(needs("(module)"), Some(vec![]));
    }
}
