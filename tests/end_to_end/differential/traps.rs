//! A program for each way to trap, behind something that it writes.

use super::{Program, proposals::around};

/// The programs.
pub fn modules() -> impl Iterator<Item = Program> {
    TRAPS.iter().map(|(name, fields, fault)| Program {
        name: format!("trap-{name}"),
        wasm: wat::parse_str(around(&format!(
            r#"{fields} (func (export "_start") (call $tell (i64.const 1)) {fault})"#
        )))
        .unwrap_or_else(|error| panic!("{name}: {error}")),
    })
}

/// What it is, fields of the module, and what traps.
const TRAPS: [(&str, &str, &str); 20] = [
    ("unreachable", "", "unreachable"),
    (
        "memory-out-of-bounds",
        "",
        "(drop (i32.load (i32.const 65533)))",
    ),
    (
        "memory-far-out-of-bounds",
        "",
        "(drop (i32.load offset=4294967295 (i32.const -1)))",
    ),
    (
        "memory64-out-of-bounds",
        "(memory $wide i64 1)",
        "(drop (i64.load $wide offset=18446744073709551615 (i64.const -1)))",
    ),
    (
        "memory-fill-out-of-bounds",
        "",
        "(memory.fill (i32.const 65000) (i32.const 1) (i32.const 1000))",
    ),
    (
        "division-by-zero",
        "",
        "(drop (i64.div_s (i64.const 1) (i64.load (i32.const 2000))))",
    ),
    (
        "remainder-by-zero",
        "",
        "(drop (i32.rem_u (i32.const 1) (i32.load (i32.const 2000))))",
    ),
    (
        "division-overflow",
        "",
        "(drop (i32.div_s (i32.const -2147483648) (i32.sub (i32.load (i32.const 2000)) (i32.const 1))))",
    ),
    (
        "conversion-overflow",
        "",
        "(drop (i32.trunc_f64_s (f64.add (f64.const 1e300) (f64.load (i32.const 2000)))))",
    ),
    (
        "conversion-of-nan",
        "",
        "(drop (i32.trunc_f32_s (f32.div (f32.load (i32.const 2000)) (f32.load (i32.const 2000)))))",
    ),
    (
        "stack-overflow",
        "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))",
        "(drop (call $deep (i64.const 1)))",
    ),
    (
        "table-out-of-bounds",
        "(table 3 funcref)",
        "(call_indirect (i32.const 3))",
    ),
    (
        "uninitialized-element",
        "(table 3 funcref)",
        "(call_indirect (i32.const 1))",
    ),
    (
        "wrong-signature",
        "(table funcref (elem $other)) (func $other (param i32))",
        "(call_indirect (i32.const 0))",
    ),
    (
        "null-reference",
        "(type $type (func))",
        "(call_ref $type (ref.null $type))",
    ),
    (
        "null-structure",
        "(type $type (struct (field i32)))",
        "(drop (struct.get $type 0 (ref.null $type)))",
    ),
    (
        "array-out-of-bounds",
        "(type $type (array i32))",
        "(drop (array.get $type (array.new $type (i32.const 0) (i32.const 4)) (i32.const 4)))",
    ),
    (
        "failed-cast",
        "(type $type (struct (field i32)))",
        "(drop (ref.cast (ref $type) (ref.i31 (i32.const 1))))",
    ),
    (
        "uncaught-exception",
        "(tag $tag (param i32))",
        "(throw $tag (i32.const 7))",
    ),
    ("null-exception", "", "(throw_ref (ref.null exn))"),
];
