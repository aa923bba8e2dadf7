//! The programs of a selftest. Each ends with 0 if all was right.

/// A program, and what must come of it.
pub struct Trial {
    /// What it tries.
    pub name: &'static str,
    /// What is seen when it is right.
    pub right: &'static str,
    /// Its text.
    pub text: &'static str,
    /// What it must write.
    pub output: &'static [u8],
    /// Whether it must trap.
    pub traps: bool,
}

pub const TRIALS: [Trial; 5] = [
    Trial {
        name: "a program runs",
        right: "it ran, and its output came back",
        text: r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "enarx")
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 8))
                (i32.store (i32.const 4) (i32.const 5))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#,
        output: b"enarx",
        traps: false,
    },
    Trial {
        name: "memory grows",
        right: "64 MiB were added page by page, and kept what was written",
        text: r#"(module
            (memory (export "memory") 1)
            (func (export "_start") (local $at i32)
                (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))
                (loop $write
                    (i32.store (local.get $at) (local.get $at))
                    (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                    (br_if $write (i32.lt_u (local.get $at) (i32.const 67108864))))
                (loop $read
                    (local.set $at (i32.sub (local.get $at) (i32.const 4096)))
                    (if (i32.ne (i32.load (local.get $at)) (local.get $at)) (then unreachable))
                    (br_if $read (local.get $at)))))"#,
        output: b"",
        traps: false,
    },
    Trial {
        name: "faults are traps",
        right: "an access out of bounds ended the program, and not the Keep",
        text: r#"(module
            (memory (export "memory") 1)
            (func (export "_start") (drop (i32.load (i32.const 0x7ffffff0)))))"#,
        output: b"",
        traps: true,
    },
    Trial {
        name: "time passes",
        right: "the monotonic clock went on, and the year is past 2020",
        text: r#"(module
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func $clock (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $rounds i32) (local $first i64)
                (if (call $clock (i32.const 0) (i64.const 1) (i32.const 0)) (then unreachable))
                (if (i64.lt_u (i64.load (i32.const 0)) (i64.const 1577836800000000000))
                    (then unreachable))
                (if (call $clock (i32.const 1) (i64.const 1) (i32.const 8)) (then unreachable))
                (local.set $first (i64.load (i32.const 8)))
                (local.set $rounds (i32.const 1000))
                (loop $again
                    (if (call $clock (i32.const 1) (i64.const 1) (i32.const 16))
                        (then unreachable))
                    (if (i64.lt_u (i64.load (i32.const 16)) (i64.load (i32.const 8)))
                        (then unreachable))
                    (i64.store (i32.const 8) (i64.load (i32.const 16)))
                    (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
                    (br_if $again (local.get $rounds)))
                (if (i64.eq (i64.load (i32.const 8)) (local.get $first)) (then unreachable))))"#,
        output: b"",
        traps: false,
    },
    Trial {
        name: "random numbers differ",
        right: "twice 32 bytes were not the same",
        text: r#"(module
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $at i32)
                (if (call $random (i32.const 0) (i32.const 32)) (then unreachable))
                (if (call $random (i32.const 32) (i32.const 32)) (then unreachable))
                (loop $compare
                    (if (i64.eq (i64.load (local.get $at))
                                (i64.load (i32.add (local.get $at) (i32.const 32))))
                        (then unreachable))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $compare (i32.lt_u (local.get $at) (i32.const 32))))))"#,
        output: b"",
        traps: false,
    },
];
