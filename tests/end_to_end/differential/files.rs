//! Programs that do at random with files what WASI preview 1 has functions for, and tell each answer.

use std::fmt::Write as _;

use super::{Program, random::Random};

/// The program of a seed: always the same one.
pub fn module(seed: u64) -> Program {
    let mut random = Random(seed);
    let mut writer = Writer::default();
    for _ in 0..OPERATIONS {
        operation(&mut random, &mut writer);
    }
    for path in PATHS {
        look(&mut writer, path);
    }
    Program {
        name: format!("files-{seed}"),
        wasm: wat::parse_str(writer.module()).unwrap(),
    }
}

const OPERATIONS: usize = 60;

/// There are `seed`, `a/deep/file` and `b/empty` to begin with.
const PATHS: [&str; 20] = [
    "a",
    "a/deep",
    "a/deep/file",
    "a/new",
    "b",
    "b/empty",
    "b/empty/below",
    "c",
    "c/d",
    "c/d/e",
    "seed",
    "link",
    "a/link",
    "./seed",
    "a/../seed",
    "a//deep",
    "../seed",
    "/seed",
    "",
    "absent/file",
];

/// WebAssembly text of what is done, and the texts that it needs.
#[derive(Default)]
struct Writer {
    body: String,
    texts: String,
}

impl Writer {
    /// Where a text is, and how long.
    fn text(&mut self, text: &str) -> String {
        let start = self.texts.len();
        self.texts += text;
        format!("(i32.const {}) (i32.const {})", TEXTS + start, text.len())
    }

    /// Tells the operation, calls the function, and tells its answer; on success also the numbers
    /// that `more` leaves.
    fn call(&mut self, function: &str, shown: &str, arguments: &str, more: &[&str]) {
        let shown = self.text(&format!("{function} {shown}"));
        let more: String = more
            .iter()
            .map(|value| format!("(call $tell {value})"))
            .collect();
        writeln!(
            self.body,
            "(call $write {shown})
             (local.set $answer (call ${function} {arguments}))
             (call $tell (i64.extend_i32_u (local.get $answer)))
             (if (i32.eqz (local.get $answer)) (then {more}))
             (call $end_line)"
        )
        .unwrap();
    }

    fn module(&self) -> String {
        let Self { body, texts } = self;
        format!(
            r#"(module {FUNCTIONS}
  (memory (export "memory") 4)
  (data (i32.const {TEXTS}) "{texts}")
  ;; The file that was opened last.
  (global $file (mut i32) (i32.const 3))
  (func $write (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; Writes a space and a number, in decimal digits.
  (func $tell (param $number i64) (local $place i32)
    (local.set $place (i32.const 64))
    (loop $digit
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (local.get $place)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
    (local.set $place (i32.sub (local.get $place) (i32.const 1)))
    (i32.store8 (local.get $place) (i32.const 32))
    (call $write (local.get $place) (i32.sub (i32.const 64) (local.get $place))))
  (func $end_line
    (i32.store8 (i32.const 64) (i32.const 10))
    (call $write (i32.const 64) (i32.const 1)))
  ;; The size of what is no directory: that of a directory is its file system's matter.
  (func $size (result i64)
    (select (i64.const 0) (i64.load (i32.const 160)) (i32.eq (i32.load8_u (i32.const 144)) (i32.const 3))))
  (func $links (result i64)
    (select (i64.const 0) (i64.load (i32.const 152)) (i32.eq (i32.load8_u (i32.const 144)) (i32.const 3))))
  (func (export "_start") (local $answer i32)
    {body}))"#
        )
    }
}

/// Where the texts begin in memory. Below are: a vector at 0, digits up to 64, an answer at 72, a
/// vector at 80, what is known of a file at 128, and a buffer at 512.
const TEXTS: usize = 8192;

/// Numbers behind an answer.
const ANSWER: &str = "(i64.load32_u (i32.const 72))";
const LONG_ANSWER: &str = "(i64.load (i32.const 72))";
const FILE_TYPE: &str = "(i64.load8_u (i32.const 144))";

fn operation(random: &mut Random, writer: &mut Writer) {
    let path = random.one_of(&PATHS);
    let other = random.one_of(&PATHS);
    let count = random.one_of(&[0, 1, 7, 100, 4000]);
    let offset = random.one_of(&[0, 3, 16, 70_000]);
    let follow = random.number() % 2;
    let place = writer.text(path);
    let other_place = writer.text(other);
    let file = "(global.get $file)";
    // The bytes are the texts' own.
    let vector = format!(
        "(i32.store (i32.const 80) (i32.const {TEXTS})) (i32.store (i32.const 84) (i32.const {count}))"
    );
    let buffer = format!(
        "(i32.store (i32.const 80) (i32.const 512)) (i32.store (i32.const 84) (i32.const {count}))"
    );
    let vectors = "(i32.const 80) (i32.const 1)";
    match random.number() % 24 {
        0..6 => open(random, writer, path),
        6 => writer.call(
            "path_create_directory",
            path,
            &format!("(i32.const 3) {place}"),
            &[],
        ),
        7 => writer.call(
            "path_remove_directory",
            path,
            &format!("(i32.const 3) {place}"),
            &[],
        ),
        8 => writer.call(
            "path_unlink_file",
            path,
            &format!("(i32.const 3) {place}"),
            &[],
        ),
        9 | 10 => {
            let arguments = format!("(i32.const 3) {place} (i32.const 3) {other_place}");
            writer.call("path_rename", &format!("{path} {other}"), &arguments, &[]);
        }
        11 => {
            let arguments =
                format!("(i32.const 3) (i32.const {follow}) {place} (i32.const 3) {other_place}");
            writer.call(
                "path_link",
                &format!("{follow} {path} {other}"),
                &arguments,
                &[],
            );
        }
        12 => {
            let arguments = format!("{place} (i32.const 3) {other_place}");
            writer.call("path_symlink", &format!("{path} {other}"), &arguments, &[]);
        }
        13 => {
            let arguments =
                format!("(i32.const 3) {place} (i32.const 512) (i32.const {count}) (i32.const 72)");
            writer.call(
                "path_readlink",
                &format!("{path} {count}"),
                &arguments,
                &[ANSWER],
            );
        }
        14 | 15 => {
            writer.body += &vector;
            let arguments = format!("{file} {vectors} (i32.const 72)");
            writer.call("fd_write", &count.to_string(), &arguments, &[ANSWER]);
        }
        16 => {
            writer.body += &vector;
            let arguments = format!("{file} {vectors} (i64.const {offset}) (i32.const 72)");
            writer.call(
                "fd_pwrite",
                &format!("{count} {offset}"),
                &arguments,
                &[ANSWER],
            );
        }
        17 => {
            writer.body += &buffer;
            let arguments = format!("{file} {vectors} (i32.const 72)");
            writer.call("fd_read", &count.to_string(), &arguments, &[ANSWER]);
        }
        18 => {
            writer.body += &buffer;
            let arguments = format!("{file} {vectors} (i64.const {offset}) (i32.const 72)");
            writer.call(
                "fd_pread",
                &format!("{count} {offset}"),
                &arguments,
                &[ANSWER],
            );
        }
        19 => {
            let whence = random.one_of(&[0, 1, 2]);
            let by = random.one_of(&[-20, 0, 5]);
            let arguments = format!("{file} (i64.const {by}) (i32.const {whence}) (i32.const 72)");
            writer.call(
                "fd_seek",
                &format!("{by} {whence}"),
                &arguments,
                &[LONG_ANSWER],
            );
        }
        20 => {
            let arguments = format!("{file} (i64.const {offset})");
            writer.call("fd_filestat_set_size", &offset.to_string(), &arguments, &[]);
        }
        21 => {
            let arguments = format!("{file} (i32.const 128)");
            writer.call(
                "fd_fdstat_get",
                "",
                &arguments,
                &[
                    "(i64.load8_u (i32.const 128))",
                    "(i64.load16_u (i32.const 130))",
                    "(i64.load (i32.const 136))",
                    "(i64.load (i32.const 144))",
                ],
            );
        }
        22 => {
            let flags = random.one_of(&[0, 1, 4]);
            let arguments = format!("{file} (i32.const {flags})");
            writer.call("fd_fdstat_set_flags", &flags.to_string(), &arguments, &[]);
        }
        _ => writer.call("fd_close", "", file, &[]),
    }
}

/// Opens a path; if that works, what it gives is the file from then on.
fn open(random: &mut Random, writer: &mut Writer, path: &str) {
    let follow = random.number() % 2;
    let creation = random.one_of(&[0, 0, 1, 1, 2, 3, 5, 8, 9]);
    let rights: u64 = random.one_of(&[1 << 1, 1 << 6, 1 << 1 | 1 << 6, READ_AND_CHANGE]);
    let flags = random.one_of(&[0, 0, 0, 1, 4]);
    let place = writer.text(path);
    let arguments = format!(
        "(i32.const 3) (i32.const {follow}) {place} (i32.const {creation})
         (i64.const {rights}) (i64.const {rights}) (i32.const {flags}) (i32.const 72)"
    );
    let shown = format!("{path} {follow} {creation} {rights:#x} {flags}");
    writer.call("path_open", &shown, &arguments, &[ANSWER]);
    writer.body +=
        "(if (i32.eqz (local.get $answer)) (then (global.set $file (i32.load (i32.const 72)))))\n";
}

/// Reading, seeking, writing, and setting the size.
const READ_AND_CHANGE: u64 = 1 << 1 | 1 << 2 | 1 << 6 | 1 << 22;

/// Tells what stands behind a path, how much it holds, and, of a directory, how much its list takes.
fn look(writer: &mut Writer, path: &str) {
    let place = writer.text(path);
    let arguments = format!("(i32.const 3) (i32.const 0) {place} (i32.const 128)");
    let known = [FILE_TYPE, "(call $links)", "(call $size)"];
    writer.call("path_filestat_get", path, &arguments, &known);
    let arguments = format!(
        "(i32.const 3) (i32.const 0) {place} (i32.const 0)
         (i64.const {LOOK}) (i64.const 0) (i32.const 0) (i32.const 72)"
    );
    writer.call("path_open", path, &arguments, &[]);
    writer.body +=
        "(if (i32.eqz (local.get $answer)) (then (global.set $file (i32.load (i32.const 72)))
        (i32.store (i32.const 80) (i32.const 512)) (i32.store (i32.const 84) (i32.const 7000))\n";
    let arguments = "(global.get $file) (i32.const 80) (i32.const 1) (i32.const 72)";
    writer.call(
        "fd_read",
        path,
        arguments,
        &[ANSWER, "(i64.load (i32.const 512))"],
    );
    let arguments =
        "(global.get $file) (i32.const 512) (i32.const 7000) (i64.const 0) (i32.const 72)";
    writer.call("fd_readdir", path, arguments, &[ANSWER]);
    writer.call("fd_close", path, "(global.get $file)", &[]);
    writer.body += "))\n";
}

/// Reading files and directories.
const LOOK: u64 = 1 << 1 | 1 << 14;

const FUNCTIONS: &str = r#"
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $fd_filestat_set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link" (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_readlink" (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_remove_directory" (func $path_remove_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))"#;
