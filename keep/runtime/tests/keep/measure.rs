//! How long a Keep takes to start, by stage. Printed, not asserted: machines differ.

use std::time::{Duration, Instant};

use enarx_wire_hostcall::envelope::Kind;
use enarx_wire_provision::{Output, OutputReader};

use crate::support::{Application, Keep};

const HELLO: &str = "(module
    (import \"wasi_snapshot_preview1\" \"fd_write\"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export \"memory\") 1)
    (data (i32.const 0) \"\\10\\00\\00\\00\\06\\00\\00\\00\")
    (data (i32.const 16) \"hello\\0a\")
    (func (export \"_start\")
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))";

#[test]
#[ignore = "a measurement"]
fn start_up_by_stage() {
    let functions: String = (0..60_000)
        .map(|number| {
            format!(
                "(func (param i32) (result i64)
                   (i64.add (i64.load offset={number} (i32.mul (local.get 0) (i32.const {number})))
                            (i64.load offset=8 (local.get 0))))"
            )
        })
        .collect();
    let large = HELLO.replace("(func (export", &format!("{functions} (func (export"));
    for (name, text) in [("tiny", HELLO), ("large", &large)] {
        let application = Application::new(text);
        let mut stages = [Duration::ZERO; 4];
        let runs = 20;
        let mut size = 0;
        let target = Keep::launch().challenge().claims().target.clone();
        let (manifest, package) = application.package(&target);
        for _ in 0..runs {
            size = package.len();
            let mut clock = Instant::now();
            let mut lap = |stage: usize| {
                stages[stage] += clock.elapsed();
                clock = Instant::now();
            };
            let mut keep = Keep::launch();
            let offer = keep.challenge();
            lap(0);
            let secret = keep.grant(offer, &manifest, 0);
            lap(1);
            keep.send_package(&package);
            let mut reader = OutputReader::new(&secret, 0);
            let first = reader.open(&keep.expect(Kind::Output)).unwrap();
            assert_eq!(first, Output::Stdout(b"hello\n".to_vec()));
            lap(2);
            assert_eq!(keep.finish_from(reader).exit, Some(0));
            lap(3);
        }
        let [attest, grant, output, end] = stages.map(|stage| stage / runs);
        println!(
            "{name}: package of {size} bytes; offer after {attest:?}, ready {grant:?}, first output {output:?}, end {end:?}"
        );
    }
}
