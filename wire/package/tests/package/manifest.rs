//! Manifests that are not one, or contradict themselves.

use enarx_wire_package::*;

use crate::sample::{entry, manifest};

/// What is said about a manifest after `change`.
fn refused(change: impl FnOnce(&mut Manifest)) -> ManifestError {
    let mut changed = manifest(b"wasm", &[("/data/a", b"a"), ("/data/b", b"b")]);
    changed.encode().unwrap();
    change(&mut changed);
    let error = changed.encode().unwrap_err();
    // Who reads it says the same as who writes it.
    let bytes = enarx_wire_cbor::to_vec(&changed).unwrap();
    let read = Manifest::decode(&bytes).unwrap_err();
    assert_eq!(read.to_string(), error.to_string());
    assert!(changed.digest().is_err());
    error
}

#[test]
fn manifests_survive_the_wire() {
    let mut manifest = manifest(b"wasm", &[("/data/a", b"a"), ("/data/b", b"b")]);
    assert!(!manifest.uses_network());
    manifest.descriptors.push(Descriptor {
        kind: DescriptorKind::Listen(Endpoint {
            host: "::".into(),
            port: 443,
            protocol: Protocol::Tls,
        }),
        name: "web".into(),
    });
    assert!(manifest.uses_network());
    let bytes = manifest.encode().unwrap();
    assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
    assert_eq!(manifest.digest().unwrap(), digest(&bytes));
    assert_eq!(manifest.content_size(), 6);
}

#[test]
fn versions() {
    let error = refused(|manifest| manifest.version = 2);
    assert!(matches!(error, ManifestError::Version(2)));
    let error = refused(|manifest| manifest.version = 0);
    assert!(matches!(error, ManifestError::Version(0)));
}

#[test]
fn programs() {
    let error = refused(|manifest| manifest.entries.clear());
    assert!(matches!(error, ManifestError::NoProgram));
    let error = refused(|manifest| manifest.entries.swap(0, 1));
    assert!(matches!(error, ManifestError::NoProgram));
    for kind in [EntryKind::Wasm, EntryKind::Artifact] {
        let error = refused(|manifest| manifest.entries[2].kind = kind);
        assert!(matches!(error, ManifestError::SecondProgram(path) if path == "/data/b"));
    }
}

#[test]
fn modules_have_nothing_of_components() {
    for change in [
        |manifest: &mut Manifest| manifest.preview3 = true,
        |manifest: &mut Manifest| manifest.network = Some(NetworkRules::default()),
    ] {
        assert!(matches!(refused(change), ManifestError::Module));
    }
    let mut component = manifest(b"wasm", &[]);
    component.workload.kind = WorkloadKind::Component;
    let before = component.encode().unwrap();
    component.preview3 = true;
    let bytes = component.encode().unwrap();
    assert_ne!(bytes, before);
    assert_eq!(Manifest::decode(&bytes).unwrap(), component);
}

#[test]
fn compile_targets() {
    let error = refused(|manifest| manifest.target = Some([1; 48]));
    assert!(matches!(error, ManifestError::Target));
    let error = refused(|manifest| manifest.entries[0].kind = EntryKind::Artifact);
    assert!(matches!(error, ManifestError::Target));
    let mut compiled = manifest(b"wasm", &[]);
    compiled.target = Some([1; 48]);
    compiled.entries[0].kind = EntryKind::Artifact;
    compiled.encode().unwrap();
}

#[test]
fn environment_and_arguments() {
    for (name, value) in [
        ("", "x"),
        ("A=B", "x"),
        ("A\0", "x"),
        ("A", "x\0y"),
        ("=", ""),
    ] {
        let error = refused(|manifest| manifest.env.push((name.into(), value.into())));
        assert!(matches!(error, ManifestError::Environment(bad) if bad == name));
    }
    let error = refused(|manifest| manifest.args.push("a\0b".into()));
    assert!(matches!(error, ManifestError::Argument(_)));
    for name in ["a:b", "a\0", ":"] {
        let error = refused(|manifest| manifest.descriptors[0].name = name.into());
        assert!(matches!(error, ManifestError::Descriptor(bad) if bad == name));
    }
    type Kind = fn(Endpoint) -> DescriptorKind;
    let wrong: [(Kind, &str); 3] = [
        (DescriptorKind::Listen, "localhost"),
        (DescriptorKind::Connect, "a b"),
        (DescriptorKind::Connect, ""),
    ];
    for (kind, host) in wrong {
        let error = refused(|manifest| {
            manifest.descriptors[0].kind = kind(Endpoint {
                host: host.into(),
                port: 443,
                protocol: Protocol::Tls,
            });
        });
        assert!(matches!(error, ManifestError::Endpoint(name) if name == "stdin"));
    }
    let error = refused(|manifest| {
        let descriptor = manifest.descriptors[0].clone();
        manifest.descriptors = vec![descriptor; Manifest::MAX_DESCRIPTORS + 1];
    });
    assert!(matches!(error, ManifestError::TooManyDescriptors(257)));
    let mut odd = manifest(b"wasm", &[]);
    odd.env.push(("A".into(), "b=c d\n".into()));
    odd.args.push(String::new());
    odd.encode().unwrap();
}

#[test]
fn paths() {
    let long = format!("/{}", "a".repeat(4095));
    for path in [
        "", "a", "/", "//", "/a/", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "../a", "/a\0b",
        &long,
    ] {
        let error = refused(|manifest| manifest.entries[1].path = path.into());
        assert!(
            matches!(error, ManifestError::Path(bad) if bad == path),
            "{path:?}"
        );
    }
    for path in ["/...", "/a b", "/ä", "/-", &long[..4095]] {
        let mut fine = manifest(b"wasm", &[]);
        fine.entries.push(entry(path, EntryKind::File, b""));
        fine.encode().unwrap();
    }
    let error = refused(|manifest| manifest.entries[2].path = "/data/a".into());
    assert!(matches!(error, ManifestError::Duplicate(path) if path == "/data/a"));
    for (above, below) in [("/data/a", "/data/a/x"), ("/d", "/d/e/f/g")] {
        for (first, second) in [(above, below), (below, above)] {
            let error = refused(|manifest| {
                manifest.entries[1].path = first.into();
                manifest.entries[2].path = second.into();
            });
            assert!(matches!(error, ManifestError::FileAsDirectory(path) if path == above));
        }
    }
}

#[test]
fn materials_for_tls() {
    let add = |kinds: &'static [EntryKind]| {
        move |manifest: &mut Manifest| {
            let entries = kinds.iter().map(|kind| entry("tls", *kind, b"pem"));
            manifest.entries.extend(entries);
        }
    };
    for alone in [&[EntryKind::TlsKey], &[EntryKind::TlsCertificates]] {
        assert!(matches!(refused(add(alone)), ManifestError::TlsIdentity));
    }
    let error = refused(add(&[EntryKind::TlsAuthorities, EntryKind::TlsAuthorities]));
    assert!(matches!(error, ManifestError::Duplicate(path) if path == "tls"));
    // Clients are asked for certificates where something listens with TLS, and only there.
    let clients = add(&[EntryKind::TlsClientAuthorities]);
    assert!(matches!(refused(clients), ManifestError::TlsClients));
    for (protocol, fits) in [(Protocol::Tls, true), (Protocol::Tcp, false)] {
        let mut manifest = manifest(b"wasm", &[]);
        clients(&mut manifest);
        manifest.descriptors.push(Descriptor {
            kind: DescriptorKind::Listen(Endpoint {
                host: "::".into(),
                port: 443,
                protocol,
            }),
            name: "web".into(),
        });
        assert_eq!(manifest.encode().is_ok(), fits);
    }
}

#[test]
fn bounds() {
    let error = refused(|manifest| {
        let file = entry("/x", EntryKind::File, b"");
        manifest
            .entries
            .resize(Manifest::MAX_ENTRIES + 1, file.clone());
    });
    assert!(matches!(error, ManifestError::TooManyEntries(16_385)));

    let mut long = manifest(b"wasm", &[]);
    long.name = "n".repeat(Manifest::MAX_SIZE);
    assert!(matches!(long.encode(), Err(ManifestError::TooLong(_))));
    let bytes = enarx_wire_cbor::to_vec(&long).unwrap();
    assert!(matches!(
        Manifest::decode(&bytes),
        Err(ManifestError::Malformed(
            enarx_wire_cbor::DecodeError::TooLong { .. }
        ))
    ));

    let mut vast = manifest(b"wasm", &[("/a", b""), ("/b", b"")]);
    vast.entries[1].size = u64::MAX;
    vast.entries[2].size = u64::MAX;
    vast.encode().unwrap();
    assert_eq!(vast.content_size(), u64::MAX);
}

#[test]
fn every_cut_and_every_altered_bit_is_refused_or_another_manifest() {
    let manifest = manifest(b"wasm", &[("/data/a", b"a")]);
    let bytes = manifest.encode().unwrap();
    for length in 0..bytes.len() {
        assert!(Manifest::decode(&bytes[..length]).is_err(), "{length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Manifest::decode(&altered) {
            assert_ne!(other, manifest, "bit {bit}");
            assert_eq!(other.encode().unwrap(), altered, "bit {bit}");
        }
    }
    let mut trailing = bytes;
    trailing.push(0xf6);
    assert!(Manifest::decode(&trailing).is_err());
}
