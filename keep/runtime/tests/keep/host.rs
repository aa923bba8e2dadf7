//! What a Keep does when its host misbehaves.

use std::{io::Write as _, net::Shutdown};

use crate::support::{Application, Keep};
use enarx_wire_hostcall::envelope::{FailureCode, Kind};
use enarx_wire_provision::{Cause, Input, InputWriter};
use enarx_wire_target::{CompileTarget, MemoryStrategy};

const EMPTY: &str = "(module (func (export \"_start\")))";

/// Waits for its input to end.
const WAITING: &str = "(module
    (import \"wasi_snapshot_preview1\" \"fd_read\"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (memory (export \"memory\") 1)
    (func (export \"_start\")
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 64))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))";

/// The Keep ends unprovisioned, with this code for the host.
fn assert_failure(keep: &mut Keep, code: FailureCode) {
    assert_eq!(keep.expect(Kind::Failure), [code as u8]);
    assert_eq!(keep.exit(), Some(65));
}

/// The session ends with a failure whose message contains `reason`.
fn assert_failed(application: &Application<'_>, alter: impl Fn(&mut Vec<u8>), reason: &str) {
    let mut keep = Keep::launch();
    let offer = keep.challenge();
    let (manifest, mut package) = application.package(&offer.claims().target.clone());
    let secret = keep.grant(offer, &manifest, 0);
    alter(&mut package);
    keep.send_package(&package);
    let finished = keep.finish(&secret);
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Failed, 125));
    assert!(ending.message.contains(reason), "{}", ending.message);
    assert!(finished.stdout.is_empty());
}

#[test]
fn a_malformed_envelope_ends_the_keep() {
    let mut keep = Keep::launch();
    keep.channel.write_all(&[99, 0, 0, 0, 0]).unwrap();
    assert_failure(&mut keep, FailureCode::Protocol);
}

#[test]
fn envelopes_out_of_turn_end_the_keep() {
    let mut keep = Keep::launch();
    keep.send(Kind::PackageEnd, &[]);
    assert_failure(&mut keep, FailureCode::Protocol);

    let mut keep = Keep::launch();
    keep.send(Kind::Challenge, &[0; 31]);
    assert_failure(&mut keep, FailureCode::Protocol);

    let mut keep = Keep::launch();
    keep.challenge();
    keep.send(Kind::Challenge, &[0; 32]);
    assert_failure(&mut keep, FailureCode::Protocol);
}

#[test]
fn a_grant_for_another_keep_is_refused() {
    let mut keep = Keep::launch();
    keep.challenge();
    let mut other = Keep::launch();
    let offer = other.challenge();
    let grant = enarx_wire_provision::Grant {
        content_key: zeroize::Zeroizing::new(crate::support::KEY),
        manifest_digest: [0; 48],
        time_floor: 0,
        application_secret: None,
    };
    let (sealed, _) = offer
        .seal(None, &grant, &mut crate::support::random())
        .unwrap();
    keep.send(Kind::Provision, &sealed);
    assert_failure(&mut keep, FailureCode::Grant);
}

#[test]
fn a_host_that_goes_away_ends_the_keep() {
    let mut keep = Keep::launch();
    keep.channel.shutdown(Shutdown::Both).unwrap();
    assert_eq!(keep.exit(), Some(66));

    let mut keep = Keep::launch();
    keep.challenge();
    keep.channel.shutdown(Shutdown::Both).unwrap();
    assert_eq!(keep.exit(), Some(66));

    // In the middle of the package.
    let mut keep = Keep::launch();
    let offer = keep.challenge();
    let (manifest, package) = Application::new(EMPTY).package(&offer.claims().target.clone());
    keep.grant(offer, &manifest, 0);
    keep.send(Kind::PackageData, &package[..100]);
    keep.channel.shutdown(Shutdown::Both).unwrap();
    assert_eq!(keep.exit(), Some(66));

    // While the program runs.
    let (mut keep, _) = Application::new(WAITING).start();
    keep.channel.shutdown(Shutdown::Both).unwrap();
    assert_eq!(keep.exit(), Some(66));
}

#[test]
fn a_second_provisioning_is_refused() {
    let (mut keep, secret) = Application::new(WAITING).start();
    keep.send(Kind::Provision, &[1, 2, 3]);
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().cause, Cause::Failed);
    assert!(finished.ending().message.contains("Provision"));
}

#[test]
fn altered_packages_do_not_run() {
    let application = Application::new(EMPTY);
    assert_failed(
        &application,
        |package| *package.last_mut().unwrap() ^= 1,
        "granted package",
    );
    assert_failed(&application, |package| package[40] ^= 1, "granted package");
    assert_failed(
        &application,
        |package| package.truncate(package.len() - 1),
        "granted package",
    );
    assert_failed(&application, |package| package.push(0), "granted package");
    assert_failed(&application, Vec::clear, "granted package");
}

#[test]
fn another_package_of_the_same_key_does_not_run() {
    let mut keep = Keep::launch();
    let offer = keep.challenge();
    let target = offer.claims().target.clone();
    let (manifest, _) = Application::new(EMPTY).package(&target);
    let (_, other) = Application::new(WAITING).package(&target);
    let secret = keep.grant(offer, &manifest, 0);
    keep.send_package(&other);
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().cause, Cause::Failed);
    assert!(finished.ending().message.contains("another manifest"));
}

#[test]
fn code_for_another_target_is_refused() {
    let mut keep = Keep::launch();
    let offer = keep.challenge();
    let target = CompileTarget::detect(MemoryStrategy::Bounded).unwrap();
    let (manifest, package) = Application::new(EMPTY).package(&target);
    let secret = keep.grant(offer, &manifest, 0);
    keep.send_package(&package);
    let finished = keep.finish(&secret);
    let ending = finished.ending();
    assert_eq!((ending.cause, ending.status), (Cause::Refused, 126));
    assert!(
        ending.message.contains("another target"),
        "{}",
        ending.message
    );
}

#[test]
fn altered_and_repeated_input_ends_the_keep() {
    let frame = |secret| InputWriter::new(secret, 1, [1; 16]).frame(&Input::Stdin(vec![7; 9]));
    let (mut keep, secret) = Application::new(WAITING).start();
    let mut altered = frame(&secret).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    keep.send(Kind::Input, &altered);
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().cause, Cause::Failed);
    assert!(finished.ending().message.contains("altered"));

    let (mut keep, secret) = Application::new(SPINNING).start();
    let frame = frame(&secret).unwrap();
    keep.send(Kind::Input, &frame);
    keep.send(Kind::Input, &frame);
    let finished = keep.finish(&secret);
    assert_eq!(finished.ending().cause, Cause::Failed);
    assert!(finished.ending().message.contains("repeated"));
}

const SPINNING: &str = "(module (func (export \"_start\") (loop $again (br $again))))";
