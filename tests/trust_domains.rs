//! The tree is the trust model: a crate may depend only on crates of domains that
//! it trusts, and the Keep carries no compiler.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// For each domain, the domains that it may depend on.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("wire", &["wire"]),
    ("keep", &["keep", "wire"]),
    ("host", &["host", "wire"]),
    ("owner", &["owner", "wire"]),
    ("cli", &["host", "owner", "wire"]),
    ("benches", &["host", "owner", "wire"]),
    // What has cargo compile others' crates once depends on those alone.
    ("tests", &[]),
];

#[test]
fn crates_depend_only_on_domains_that_they_trust() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let root = metadata["workspace_root"].as_str().unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut edges = 0;
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let domain = domain(root, Path::new(package["manifest_path"].as_str().unwrap()));
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(known, _)| *known == domain)
            .unwrap_or_else(|| panic!("{name}: {domain:?} is not a trust domain"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(path) = dependency["path"].as_str() else {
                continue;
            };
            edges += 1;
            let other = self::domain(root, &Path::new(path).join("Cargo.toml"));
            assert!(
                allowed.contains(&other.as_str()),
                "{name} is in {domain}/ and must not depend on {}, which is in {other}/",
                dependency["name"]
            );
        }
    }
    assert!(
        packages.len() > 15 && edges > 30,
        "{edges} dependencies seen"
    );
}

#[test]
fn the_keep_has_no_compiler_and_no_network_client() {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        "enarx-keep-runtime",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{lib}",
    ]);
    let crates: BTreeSet<&str> = tree.lines().map(str::trim).collect();
    assert!(crates.contains("wasmtime"), "{tree}");
    for forbidden in [
        "cranelift_codegen",
        "winch_codegen",
        "wasmtime_cranelift",
        "wat",
        "reqwest",
        "axum",
    ] {
        assert!(!crates.contains(forbidden), "the Keep contains {forbidden}");
    }
}

/// The first folder of a manifest's path below the workspace.
fn domain(root: &str, manifest: &Path) -> String {
    let inside = manifest.strip_prefix(root).unwrap();
    let first = inside.components().next().unwrap();
    first.as_os_str().to_str().unwrap().to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
