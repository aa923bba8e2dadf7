//! Keys that a program has again in its next deployment.

use enarx_owner_deployer::application::write_secret_file;
use enarx_wire_package::digest;
use enarx_wire_provision::OwnerSecret;

use crate::harness::{Finished, Place, in_every_keep};

in_every_keep!(a_programs_keys_come_from_its_owners_secret);

/// On every platform from the same secret the same.
fn a_programs_keys_come_from_its_owners_secret(place: &Place) {
    let application = place.file("app.wat", deriving("first"));
    let application = application.to_str().unwrap();
    let secret = OwnerSecret::new(std::array::from_fn(|index| index as u8));
    write_secret_file(&place.path().join("secret"), &secret).unwrap();
    let keys = Keys::of(&place.run(["run", "--simulate", "--secret", "secret", application]));
    let secret = secret.simulated_application("app");
    assert_eq!(keys.application, *secret.application_key(b"a"));
    assert_eq!(keys.context, *secret.application_key(b"b"));
    let program = digest(&wat::parse_str(deriving("first")).unwrap());
    assert_eq!(keys.program, *secret.program_key(&program, b"a"));
}

#[test]
fn the_same_package_has_the_same_keys_and_all_others_have_others() {
    let place = Place::new();
    let host = place.host(&[]);
    let first = place.file("app.wat", deriving("first"));
    let (first, second) = (first.to_str().unwrap(), "second/app.wat");
    place.file(second, deriving("second"));
    place.file("other.wat", deriving("first"));
    let package = |application: &str, package: &str, key: &str| {
        let build = ["package", "build", application, "-o", package, "-k", key];
        place.run(build).expect(0);
    };
    package(first, "first.enarx", "one.key");
    package(second, "second.enarx", "one.key");
    package("other.wat", "other.enarx", "one.key");
    package(first, "again.enarx", "another.key");
    let run = |package: &str, key: &str| {
        Keys::of(&place.run(["run", "--simulate", "--key", key, package]))
    };

    let keys = run("first.enarx", "one.key");
    assert_ne!(keys.application, keys.program);
    assert_ne!(keys.application, keys.context);
    let deploy = ["deploy", "--simulate", "--to", &host.url];
    let deployed = place.run([&deploy[..], &["--key", "one.key", "first.enarx"]].concat());
    assert_eq!(Keys::of(&deployed), keys);
    assert_eq!(run("first.enarx", "one.key"), keys);

    // A new version of the program.
    let upgraded = run("second.enarx", "one.key");
    assert_eq!(upgraded.application, keys.application);
    assert_eq!(upgraded.context, keys.context);
    assert_ne!(upgraded.program, keys.program);
    // Another application, and another owner's.
    run("other.enarx", "one.key").share_nothing_with(&keys);
    run("again.enarx", "another.key").share_nothing_with(&keys);

    // A secret of its own is as good for a package as for what it was made of.
    place
        .run(["key", "generate", "--secret", "secret"])
        .expect(0);
    let secret = ["run", "--simulate", "--secret", "secret"];
    let own = Keys::of(&place.run([&secret[..], &[first]].concat()));
    own.share_nothing_with(&keys);
    let packaged = place.run([&secret[..], &["--key", "one.key", "first.enarx"]].concat());
    assert_eq!(Keys::of(&packaged), own);
}

#[test]
fn without_a_secret_that_stays_there_are_no_keys() {
    let place = Place::new();
    let module = place.file("app.wat", deriving("first"));
    let module = module.to_str().unwrap();
    // ENOENT.
    let finished = place.run(["run", "--simulate", module]).expect(44);
    assert_eq!(finished.text(), "");
    finished.says("gets none").says("--secret");
    let refused = place.run(["run", "--simulate", "--secret", "missing", module]);
    refused.expect(125).says("enarx key generate --secret");
    place
        .run(["package", "build", module, "-o", "p", "-k", "key"])
        .expect(0);
    let refused = place.run(["run", "--simulate", "--secret", "key", module]);
    refused
        .expect(125)
        .says("key: this is not a file with a secret");
}

/// What [`deriving`] writes.
#[derive(PartialEq, Eq, Debug)]
struct Keys {
    /// The application's for the context "a".
    application: [u8; 32],
    /// The program's for the context "a".
    program: [u8; 32],
    /// The application's for the context "b".
    context: [u8; 32],
}

impl Keys {
    #[track_caller]
    fn of(finished: &Finished) -> Self {
        let said = &finished.stderr;
        assert_eq!((finished.status, finished.stdout.len()), (0, 96), "{said}");
        let key = |index: usize| finished.stdout[32 * index..][..32].try_into().unwrap();
        Self {
            application: key(0),
            program: key(1),
            context: key(2),
        }
    }

    #[track_caller]
    fn share_nothing_with(&self, other: &Self) {
        assert_ne!(self.application, other.application);
        assert_ne!(self.program, other.program);
        assert_ne!(self.context, other.context);
    }
}

/// A program that writes its keys, and ends with what the Keep says where there are none. Its
/// `version` does nothing.
fn deriving(version: &str) -> String {
    format!(
        r#"(module
  (import "enarx_keep" "derive_key" (func $key (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\10\00\00\60\00\00\00")
  (data (i32.const 64) "ab{version}")
  (func $must (param $error i32)
    (if (local.get $error) (then (call $exit (local.get $error)))))
  (func (export "_start")
    (call $must (call $key (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 4096)))
    (call $must (call $key (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 4128)))
    (call $must (call $key (i32.const 0) (i32.const 65) (i32.const 1) (i32.const 4160)))
    (call $must (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}
