//! The commands that need no host, as a user calls them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A user with directories of their own.
struct User {
    home: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enarx"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path());
        command
    }

    fn enarx(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.enarx(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that ends with `status`.
    fn fails(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.enarx(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {stderr}"
        );
        stderr
    }
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_package_is_built_inspected_and_verified() {
    let user = User::new();
    let confidential = example("confidential");
    let build = [
        "package",
        "build",
        &confidential,
        "-o",
        "p",
        "-k",
        "key",
        "-e",
        "A=secret",
    ];
    user.succeeds(&build);
    let mode = fs::metadata(user.path("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let shown = user.succeeds(&["package", "inspect", "p", "-k", "key"]);
    assert!(
        shown.contains("/data/salaries.csv") && shown.contains("confidential"),
        "{shown}"
    );
    assert!(!shown.contains("secret"), "{shown}");
    let json = user.succeeds(&["package", "inspect", "p", "-k", "key", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["env"][0]["value"], "secret");
    assert_eq!(json["limits"]["wall_milliseconds"], 30_000);
    assert_eq!(json["entries"][1]["path"], "/data/salaries.csv");

    let verified = user.succeeds(&["package", "verify", "p", "-k", "key"]);
    assert!(verified.contains("complete and unaltered"), "{verified}");
    let json = user.succeeds(&["package", "verify", "p", "-k", "key", "--json"]);
    let verified: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(verified["entries"], 2);

    // Not replaced by accident; the key is used again.
    let error = user.fails(125, &build);
    assert!(
        error.contains("help:") && error.contains("--force"),
        "{error}"
    );
    let key = fs::read(user.path("key")).unwrap();
    let again = [&build[..], &["--force"]].concat();
    user.succeeds(&again);
    assert_eq!(fs::read(user.path("key")).unwrap(), key);
    let leftovers = fs::read_dir(user.home.path()).unwrap().count();
    assert_eq!(leftovers, 2);
}

#[test]
fn a_damaged_package_is_refused_with_a_remedy() {
    let user = User::new();
    let hello = example("hello");
    user.succeeds(&["-q", "package", "build", &hello, "-o", "p", "-k", "key"]);
    user.succeeds(&[
        "-q",
        "package",
        "build",
        &hello,
        "-o",
        "other",
        "-k",
        "other-key",
    ]);
    let error = user.fails(125, &["package", "verify", "p", "-k", "other-key"]);
    assert!(
        error.contains("the key is not the one") && error.contains("help:"),
        "{error}"
    );

    let sound = fs::read(user.path("p")).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(user.path("p"), &damaged).unwrap();
    let error = user.fails(125, &["package", "verify", "p", "-k", "key"]);
    assert!(error.contains("damaged or tampered"), "{error}");
    fs::write(user.path("p"), &sound[..sound.len() - 1]).unwrap();
    user.fails(125, &["package", "verify", "p", "-k", "key"]);

    fs::write(user.path("p"), "not a package").unwrap();
    let error = user.fails(125, &["package", "inspect", "p", "-k", "key"]);
    assert!(error.contains("not an Enarx package"), "{error}");
    fs::set_permissions(user.path("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = user.fails(125, &["package", "inspect", "p", "-k", "key"]);
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_configuration_is_begun_and_checked() {
    let user = User::new();
    user.succeeds(&["config", "init", "app"]);
    assert!(
        user.fails(125, &["config", "init", "app"])
            .contains("--force")
    );
    user.succeeds(&["config", "init", "app", "--force"]);
    let error = user.fails(125, &["config", "check", "app"]);
    assert!(
        error.contains("no .wasm or .wat") && error.contains("help:"),
        "{error}"
    );
    fs::write(user.path("app/main.wat"), "(module)").unwrap();
    let error = user.fails(125, &["config", "check", "app"]);
    assert!(error.contains("no function _start"), "{error}");
    let program = r#"(module (func (export "_start")))"#;
    fs::write(user.path("app/main.wat"), program).unwrap();
    let shown = user.succeeds(&["config", "check", "app"]);
    assert!(
        shown.contains("main.wat") && shown.contains("core module"),
        "{shown}"
    );

    fs::write(user.path("app/Enarx.toml"), "\n[limits]\nmemmory = 1\n").unwrap();
    let error = user.fails(125, &["config", "check", "app"]);
    assert!(
        error.contains("app/Enarx.toml:3:1: unknown key `memmory`"),
        "{error}"
    );
    assert!(error.contains("3 | memmory = 1"), "{error}");
}

#[test]
fn completions_manuals_policies_and_facts_are_written() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            user.succeeds(&["completions", shell]).contains("deploy"),
            "{shell}"
        );
    }
    user.succeeds(&["man", "pages"]);
    for page in ["enarx.1", "enarx-deploy.1", "enarx-package-build.1"] {
        let text = fs::read_to_string(user.path("pages").join(page)).unwrap();
        assert!(text.contains(".SH"), "{page}");
    }

    let policy = user.succeeds(&["policy", "show"]);
    fs::write(user.path("policy.toml"), policy).unwrap();
    let checked = user.succeeds(&["policy", "check", "policy.toml"]);
    assert!(checked.contains("demands genuine evidence"), "{checked}");
    fs::write(user.path("policy.toml"), "debgu = 1").unwrap();
    let error = user.fails(125, &["policy", "check", "policy.toml"]);
    assert!(
        error.contains("debgu") && error.contains("help:"),
        "{error}"
    );

    let json: Value = serde_json::from_str(&user.succeeds(&["platform", "--json"])).unwrap();
    let backends = json.as_array().unwrap();
    assert!(
        backends
            .iter()
            .any(|backend| backend["backend"] == "process"),
        "{json}"
    );
    user.succeeds(&["platform"]);
    let json: Value = serde_json::from_str(&user.succeeds(&["measure", "--json"])).unwrap();
    assert_eq!(json["runtime"]["sha384"].as_str().map(str::len), Some(96));
    assert_eq!(
        json["launch_digests"]["process"][0].as_str().map(str::len),
        Some(96)
    );
}

#[test]
fn hosts_without_tls_need_no_authorities() {
    let user = User::new();
    for (url, said) in [
        ("http://127.0.0.1:1", "Connection refused"),
        ("https://127.0.0.1:1", "ca-certificates"),
    ] {
        let mut command = user.command(&["ps", "--host", url]);
        let output = command
            .env("SSL_CERT_FILE", "/nonexistent")
            .env("SSL_CERT_DIR", "/nonexistent")
            .output();
        let error = String::from_utf8(output.unwrap().stderr).unwrap();
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[test]
fn secrets_are_made_private_and_never_replaced() {
    let user = User::new();
    assert_eq!(user.succeeds(&["key", "generate", "--secret", "s"]), "");
    let secret = fs::read_to_string(user.path("s")).unwrap();
    assert!(secret.starts_with("enarx-secret-1 "));
    let mode = fs::metadata(user.path("s")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let json = user.succeeds(&["key", "generate", "--secret", "t", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["secret"], "t");
    assert_ne!(fs::read_to_string(user.path("t")).unwrap(), secret);

    let error = user.fails(125, &["key", "generate", "--secret", "s"]);
    assert!(error.contains("name a new file"), "{error}");
    assert_eq!(fs::read_to_string(user.path("s")).unwrap(), secret);
    // It is never made by the way: a misspelt name would lose what was encrypted.
    fs::write(user.path("app.wat"), "(module)").unwrap();
    for wrong in ["u", "app.wat"] {
        let run = ["run", "-b", "process", "--secret", wrong, "app.wat"];
        let error = user.fails(125, &run);
        assert!(error.contains("enarx key generate --secret"), "{error}");
    }
    assert!(!user.path("u").exists());
}

#[test]
fn identities_are_signed_by_keys_on_p_384() {
    let user = User::new();
    let path = |name: &str| user.path(name).display().to_string();
    let (id, author, rsa) = (path("id.pem"), path("author.pem"), path("rsa.pem"));
    let digest = user.succeeds(&["key", "generate", "--platform", "snp", &id]);
    assert_eq!(digest.trim().len(), 96);
    assert_eq!(user.succeeds(&["key", "show", &id]), digest);
    user.succeeds(&["key", "generate", "--platform", "snp", &author]);
    let file = path("keep.identity");
    let line = [
        "key",
        "identify",
        &id,
        "--author-key",
        &author,
        "-o",
        &file,
        "--json",
    ];
    let json: Value = serde_json::from_str(&user.succeeds(&line)).unwrap();
    assert_eq!(json["id_key_digest"], digest.trim());
    assert_eq!(json["author_key_digest"].as_str().map(str::len), Some(96));
    let measured = ["measure", "--platform", "snp", "--json"];
    let measured: Value = serde_json::from_str(&user.succeeds(&measured)).unwrap();
    assert_eq!(json["measurement"], measured["launch_digests"]["snp"][0]);
    assert_eq!(std::fs::read(&file).unwrap().len(), 96 + 4096);
    // Never over another, and never with a key of another kind.
    user.fails(125, &line);
    std::fs::write(&rsa, "no key").unwrap();
    assert!(
        user.fails(125, &["key", "identify", &rsa])
            .contains("chmod 600")
    );
}

#[test]
fn what_is_chosen_of_a_machine_shows_in_its_measurement() {
    let user = User::new();
    let measure = |platform: &str, more: &[&str]| {
        let line = [&["measure", "--json", "--platform", platform], more].concat();
        let json: Value = serde_json::from_str(&user.succeeds(&line)).unwrap();
        let digest = json["launch_digests"][platform][0].as_str().unwrap();
        assert_eq!(digest.len(), 96);
        (digest.to_owned(), json["rtmrs"].clone())
    };
    let mut digests = vec![measure("tdx", &[]).0];
    for more in [
        &[][..],
        &["--vcpus", "4"],
        &["--vcpu-type", "EPYC-Genoa"],
        &["--vcpu-type", "25:1:1"],
        &["--guest-features", "0x21"],
        &["--keep-memory", "2GiB"],
    ] {
        digests.push(measure("snp", more).0);
    }
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
    let same = ["--vcpu-type", "EPYC-Milan-v2"];
    let numbers = ["--vcpu-type", "25:1:1"];
    assert_eq!(measure("snp", &same), measure("snp", &numbers));
    assert_eq!(measure("tdx", &[]).1.as_array().map(Vec::len), Some(4));
    for wrong in [
        ["--vcpus", "9"],
        ["--vcpu-type", "486"],
        ["--guest-features", "2"],
    ] {
        user.fails(125, &["measure", wrong[0], wrong[1]]);
    }
}

#[test]
fn without_a_tee_nothing_runs_unless_the_user_says_so() {
    let user = User::new();
    let hello = example("hello");
    for line in [&["run", &hello][..], &["deploy", "--to", "local", &hello]] {
        let error = user.fails(125, line);
        assert!(
            error.contains("--backend process") && error.contains("--simulate"),
            "{error}"
        );
    }
    assert!(user.fails(125, &["run"]).contains("Usage:"));
    let error = user.fails(125, &["run", "missing.wasm"]);
    assert!(error.contains("missing.wasm"), "{error}");
    let error = user.fails(125, &["logs", "3f"]);
    assert!(error.contains("3f"), "{error}");
    assert_eq!(user.succeeds(&["ps", "--json"]).trim(), "[]");
}
