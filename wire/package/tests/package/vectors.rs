//! The checked-in vectors: what this code makes is what they say.

use enarx_wire_package::*;
use serde_json::{Value, json};

use crate::sample::{KEY, SALT, pattern};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/package.json"
);

/// The smallest module.
const WASM: &[u8] = b"\0asm\x01\0\0\0";

/// What HKDF gives for the stream, derived here a second time.
fn derived(label: &[u8], size: usize) -> String {
    let mut output = vec![0; size];
    hkdf::Hkdf::<sha2::Sha384>::new(Some(&SALT), &KEY)
        .expand(label, &mut output)
        .unwrap();
    hex::encode(output)
}

fn manifest(name: &str, digests: bool, files: &[(&str, &[u8])]) -> Manifest {
    let known = |bytes| digests.then(|| digest(bytes));
    let mut entries = vec![Entry {
        path: "app.wasm".into(),
        kind: EntryKind::Wasm,
        size: WASM.len() as u64,
        digest: Some(digest(WASM)),
    }];
    entries.extend(files.iter().map(|(path, bytes)| Entry {
        path: (*path).into(),
        kind: EntryKind::File,
        size: bytes.len() as u64,
        digest: known(bytes),
    }));
    Manifest {
        version: Manifest::VERSION,
        name: name.into(),
        workload: Workload {
            kind: WorkloadKind::Module,
            digest: digest(WASM),
        },
        args: vec!["app".into(), "--quiet".into()],
        env: vec![("LANG".into(), "C.UTF-8".into())],
        descriptors: vec![
            Descriptor {
                kind: DescriptorKind::Null,
                name: "stdin".into(),
            },
            Descriptor {
                kind: DescriptorKind::Stdout,
                name: "stdout".into(),
            },
        ],
        tls: None,
        network: None,
        http: None,
        preview3: false,
        config: Vec::new(),
        limits: Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        },
        target: None,
        entries,
    }
}

fn package(manifest: &Manifest, files: &[(&str, &[u8])]) -> Vec<u8> {
    let key = ContentKey::new(KEY);
    let mut writer = PackageWriter::new(Vec::new(), &key, SALT, manifest).unwrap();
    writer.entry(WASM).unwrap();
    for (_, bytes) in files {
        writer.entry(*bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// Two files, all bytes given.
fn small() -> Value {
    let files: [(&str, &[u8]); 2] = [("/etc/motd", b"hello\n"), ("/empty", b"")];
    let manifest = manifest("two files", true, &files);
    json!({
        "content_key": hex::encode(KEY),
        "salt": hex::encode(SALT),
        "stream_key": derived(b"enarx package v1 key", 32),
        "nonce_prefix": derived(b"enarx package v1 nonce", 7),
        "commitment": derived(b"enarx package v1 commitment", 32),
        "manifest": hex::encode(manifest.encode().unwrap()),
        "manifest_digest": hex::encode(manifest.digest().unwrap()),
        "contents": [hex::encode(WASM), hex::encode(files[0].1), hex::encode(files[1].1)],
        "package": hex::encode(package(&manifest, &files)),
    })
}

/// Several chunks: byte i of the file is i * 31 mod 251.
fn large() -> Value {
    let size = 2 * CHUNK_SIZE + 7;
    let bytes = pattern(size);
    let files = [("/pattern", bytes.as_slice())];
    let manifest = manifest("several chunks", false, &files);
    let package = package(&manifest, &files);
    json!({
        "content_key": hex::encode(KEY),
        "salt": hex::encode(SALT),
        "manifest": hex::encode(manifest.encode().unwrap()),
        "program": hex::encode(WASM),
        "pattern_bytes": size,
        "package_bytes": package.len(),
        "package_sha384": hex::encode(digest(&package)),
    })
}

#[test]
fn the_vectors_are_reproduced() {
    let made = json!({ "two_files": small(), "several_chunks": large() });
    if std::env::var_os("ENARX_WRITE_VECTORS").is_some() {
        std::fs::write(FILE, format!("{made:#}\n")).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(FILE).unwrap()).unwrap();
    assert_eq!(
        made, kept,
        "ENARX_WRITE_VECTORS=1 rewrites tests/vectors/package.json"
    );
}
