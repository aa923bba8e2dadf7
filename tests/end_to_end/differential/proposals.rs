//! A program for each proposal that languages rely on.

use super::Program;

/// The programs. Each writes numbers, and ends well.
pub fn modules() -> impl Iterator<Item = Program> {
    PROGRAMS.iter().map(|(name, fields)| Program {
        name: format!("proposal-{name}"),
        wasm: wat::parse_str(around(fields)).unwrap_or_else(|error| panic!("{name}: {error}")),
    })
}

/// A module with these fields, a memory `$memory`, and a function `$tell` that writes eight bytes.
pub fn around(fields: &str) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory $memory (export "memory") 1)
  (func $tell (param $number i64)
    (i64.store (i32.const 16) (local.get $number))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  {fields})"#
    )
}

const PROGRAMS: [(&str, &str); 15] = [
    (
        "simd",
        r#"(func (export "_start") (local $sum v128) (local $index i32)
            (loop $again
              (local.set $sum (i32x4.add (i32x4.mul (local.get $sum) (v128.const i32x4 3 5 7 11))
                                         (i32x4.splat (local.get $index))))
              (local.set $sum (i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12
                                             (local.get $sum) (local.get $sum)))
              (local.set $index (i32.add (local.get $index) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $index) (i32.const 1000))))
            (call $tell (i64x2.extract_lane 0 (local.get $sum)))
            (call $tell (i64x2.extract_lane 1 (local.get $sum)))
            (call $tell (i64x2.extract_lane 0 (f64x2.sqrt (v128.const f64x2 2 3))))
            (call $tell (i64.extend_i32_u (i8x16.bitmask (i8x16.swizzle (local.get $sum) (local.get $sum))))))"#,
    ),
    (
        // Numbers for which every processor's choice is the same.
        "relaxed-simd",
        r#"(func (export "_start")
            (call $tell (i64x2.extract_lane 0
              (f64x2.relaxed_madd (v128.const f64x2 2 3) (v128.const f64x2 4 5) (v128.const f64x2 6 7))))
            (call $tell (i64x2.extract_lane 1
              (i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 1.5 -2.5 3.5 -4.5))))
            (call $tell (i64x2.extract_lane 0
              (i8x16.relaxed_swizzle (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
                                     (v128.const i8x16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0)))))"#,
    ),
    (
        "tail-calls",
        r#"(type $function (func (param i64 i64) (result i64)))
           (table funcref (elem $count))
           (func $count (type $function) (param $left i64) (param $sum i64) (result i64)
             (if (i64.eqz (local.get $left)) (then (return (local.get $sum))))
             (if (i32.wrap_i64 (i64.and (local.get $left) (i64.const 1))) (then
               (return_call $count (i64.sub (local.get $left) (i64.const 1))
                                   (i64.add (local.get $sum) (local.get $left)))))
             (return_call_indirect (type $function)
               (i64.sub (local.get $left) (i64.const 1)) (local.get $sum) (i32.const 0)))
           (func (export "_start") (call $tell (call $count (i64.const 3000000) (i64.const 0))))"#,
    ),
    (
        "exceptions",
        r#"(tag $odd (param i64))
           (tag $other)
           (func $work (param $depth i64)
             (if (i64.eqz (local.get $depth)) (then (throw $odd (i64.const 77))))
             (call $work (i64.sub (local.get $depth) (i64.const 1))))
           (func $guarded (param $depth i64) (result i64)
             (block $caught (result i64)
               (try_table (catch $odd $caught) (call $work (local.get $depth)))
               (i64.const 0)))
           (func (export "_start") (local $index i64)
             (loop $again
               (call $tell (i64.add (local.get $index) (call $guarded (local.get $index))))
               (local.set $index (i64.add (local.get $index) (i64.const 1)))
               (br_if $again (i64.lt_u (local.get $index) (i64.const 100))))
             (block $all (result exnref)
               (try_table (catch_all_ref $all) (throw $other))
               (unreachable))
             (drop)
             (call $tell (i64.const 5)))"#,
    ),
    (
        "exceptions-thrown-on",
        r#"(tag $tag (param i64))
           (func $again (block $caught (result i64 exnref)
               (try_table (catch_ref $tag $caught) (throw $tag (i64.const 3)))
               (unreachable))
             (throw_ref))
           (func (export "_start")
             (block $caught (result i64)
               (try_table (catch $tag $caught) (call $again))
               (i64.const 0))
             (call $tell))"#,
    ),
    (
        "garbage-collection",
        r#"(type $node (struct (field $next (ref null $node)) (field $value (mut i64))))
           (type $numbers (array (mut i64)))
           (func $list (param $length i64) (result (ref null $node)) (local $node (ref null $node))
             (loop $again
               (local.set $node (struct.new $node (local.get $node) (local.get $length)))
               (local.set $length (i64.sub (local.get $length) (i64.const 1)))
               (br_if $again (i64.ne (local.get $length) (i64.const 0))))
             (local.get $node))
           (func $sum (param $node (ref null $node)) (result i64) (local $sum i64)
             (block $done
               (loop $again
                 (br_if $done (ref.is_null (local.get $node)))
                 (local.set $sum (i64.add (local.get $sum) (struct.get $node $value (local.get $node))))
                 (local.set $node (struct.get $node $next (local.get $node)))
                 (br $again)))
             (local.get $sum))
           (func (export "_start") (local $index i32) (local $kept (ref null $node)) (local $numbers (ref $numbers))
             (local.set $kept (call $list (i64.const 1000)))
             ;; Far more than there is memory for, if nothing of it were taken back.
             (loop $again
               (drop (call $list (i64.const 10000)))
               (drop (array.new $numbers (i64.const 1) (i32.const 100000)))
               (local.set $index (i32.add (local.get $index) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $index) (i32.const 2000))))
             (call $tell (call $sum (local.get $kept)))
             (local.set $numbers (array.new $numbers (i64.const 7) (i32.const 100)))
             (array.fill $numbers (local.get $numbers) (i32.const 10) (i64.const 9) (i32.const 20))
             (array.copy $numbers $numbers (local.get $numbers) (i32.const 0) (local.get $numbers) (i32.const 25) (i32.const 10))
             (call $tell (array.get $numbers (local.get $numbers) (i32.const 3)))
             (call $tell (array.get $numbers (local.get $numbers) (i32.const 9)))
             (call $tell (i64.extend_i32_u (array.len (local.get $numbers)))))"#,
    ),
    (
        "casts",
        r#"(type $base (sub (struct (field i32))))
           (type $derived (sub $base (struct (field i32) (field i64))))
           (func $kind (param $value anyref) (result i64)
             (if (ref.test (ref $derived) (local.get $value)) (then
               (return (struct.get $derived 1 (ref.cast (ref $derived) (local.get $value))))))
             (if (ref.test (ref $base) (local.get $value)) (then
               (return (i64.extend_i32_u (struct.get $base 0 (ref.cast (ref $base) (local.get $value)))))))
             (if (ref.test (ref i31) (local.get $value)) (then
               (return (i64.extend_i32_s (i31.get_s (ref.cast (ref i31) (local.get $value)))))))
             (i64.const -1))
           (func (export "_start")
             (call $tell (call $kind (struct.new $derived (i32.const 1) (i64.const 2))))
             (call $tell (call $kind (struct.new $base (i32.const 3))))
             (call $tell (call $kind (ref.i31 (i32.const -4))))
             (call $tell (call $kind (ref.null any)))
             (call $tell (i64.extend_i32_u (ref.eq (ref.i31 (i32.const 5)) (ref.i31 (i32.const 5))))))"#,
    ),
    (
        "function-references",
        r#"(type $unary (func (param i64) (result i64)))
           (elem declare func $double $square)
           (func $double (type $unary) (i64.mul (local.get 0) (i64.const 2)))
           (func $square (type $unary) (i64.mul (local.get 0) (local.get 0)))
           (func $twice (param $function (ref $unary)) (param $value i64) (result i64)
             (call_ref $unary (call_ref $unary (local.get $value) (local.get $function)) (local.get $function)))
           (func (export "_start")
             (call $tell (call $twice (ref.func $double) (i64.const 5)))
             (call $tell (call $twice (ref.func $square) (i64.const 5)))
             (block $null
               (drop (br_on_null $null (ref.null $unary)))
               (unreachable))
             (call $tell (i64.const 1)))"#,
    ),
    (
        "memory64",
        r#"(memory $wide i64 1 70000)
           (func (export "_start")
             (call $tell (memory.grow $wide (i64.const 100)))
             (i64.store $wide offset=65536 (i64.const 6000000) (i64.const 42))
             (call $tell (i64.load $wide (i64.const 6065536)))
             (memory.fill $wide (i64.const 100) (i32.const 7) (i64.const 200))
             (memory.copy $wide $wide (i64.const 1000) (i64.const 200) (i64.const 100))
             (call $tell (i64.load $wide (i64.const 1092)))
             (call $tell (memory.size $wide)))"#,
    ),
    (
        "memory64-beyond-4-gib-of-addresses",
        r#"(memory $wide i64 1 200000)
           (func (export "_start")
             ;; Denied or not, as there is room; never in part.
             (if (i64.eq (memory.grow $wide (i64.const 100000)) (i64.const -1))
               (then (call $tell (memory.size $wide)))
               (else (call $tell (i64.sub (memory.size $wide) (i64.const 100000))))))"#,
    ),
    (
        "multiple-memories",
        r#"(memory $one 1) (memory $two 2)
           (data (memory $one) (i32.const 8) "\01\02\03\04\05\06\07\08")
           (func (export "_start")
             (memory.copy $two $one (i32.const 70000) (i32.const 8) (i32.const 8))
             (call $tell (i64.load $two (i32.const 70000)))
             (i64.store $one (i32.const 8) (i64.const 99))
             (call $tell (i64.load $two (i32.const 8)))
             (call $tell (i64.extend_i32_u (memory.grow $one (i32.const 3))))
             (call $tell (i64.extend_i32_u (i32.add (memory.size $one) (memory.size $two)))))"#,
    ),
    (
        "multiple-values",
        r#"(func $divided (param i64 i64) (result i64 i64)
             (i64.div_u (local.get 0) (local.get 1)) (i64.rem_u (local.get 0) (local.get 1)))
           (func (export "_start")
             (call $divided (i64.const 1000) (i64.const 7))
             (call $tell) (call $tell))"#,
    ),
    (
        "bulk-memory-and-tables",
        r#"(table $table 10 20 funcref)
           (elem $passive func $one $two)
           (data $text "a text of some length")
           (func $one (result i64) (i64.const 1))
           (func $two (result i64) (i64.const 2))
           (func (export "_start")
             (memory.init $text (i32.const 100) (i32.const 2) (i32.const 10))
             (data.drop $text)
             (call $tell (i64.load (i32.const 100)))
             (table.init $table $passive (i32.const 3) (i32.const 0) (i32.const 2))
             (elem.drop $passive)
             (table.copy $table $table (i32.const 6) (i32.const 3) (i32.const 2))
             (call $tell (call_indirect $table (result i64) (i32.const 7)))
             (call $tell (i64.extend_i32_u (table.grow $table (ref.func $one) (i32.const 5))))
             (call $tell (call_indirect $table (result i64) (i32.const 12)))
             (call $tell (i64.extend_i32_s (table.grow $table (ref.null func) (i32.const 100)))))"#,
    ),
    (
        "extended-constants",
        r#"(global $base i32 (i32.const 1000))
           (global $derived i64 (i64.mul (i64.const 6) (i64.add (i64.const 3) (i64.const 4))))
           (data (i32.add (global.get $base) (i32.const 24)) "12345678")
           (func (export "_start")
             (call $tell (global.get $derived))
             (call $tell (i64.load (i32.const 1024))))"#,
    ),
    (
        "floating-point",
        r#"(func (export "_start") (local $value f64) (local $index i32)
             (local.set $value (f64.const 1))
             (loop $again
               (local.set $value (f64.add (f64.sqrt (local.get $value)) (f64.div (f64.const 1) (local.get $value))))
               (call $tell (i64.reinterpret_f64 (local.get $value)))
               (local.set $index (i32.add (local.get $index) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $index) (i32.const 50))))
             (call $tell (i64.trunc_sat_f64_s (f64.const nan)))
             (call $tell (i64.trunc_sat_f64_u (f64.const -1e300)))
             (call $tell (i64.extend_i32_u (i32.reinterpret_f32 (f32.nearest (f32.const 2.5)))))
             (call $tell (i64.reinterpret_f64 (f64.copysign (f64.const 0) (f64.const -1)))))"#,
    ),
];
