use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::symlink,
};

use enarx_owner_compiler::DEFAULT_MAX_SIZE;
use enarx_wire_package::{EntryKind, PackageWriter, Workload, WorkloadKind, digest, read_ahead};

use super::*;

const WASM: &[u8] = b"\0asm\x01\0\0\0";

/// A folder with these files.
pub(super) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new()
        .prefix("app")
        .tempdir()
        .expect("a temporary directory");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn load(path: &Path) -> Result<Application, ApplicationError> {
    Application::load(path, LoadOptions::default())
}

fn refusal(path: &Path) -> String {
    load(path).unwrap_err().to_string()
}

fn targets(application: &Application) -> Vec<&str> {
    application
        .files
        .iter()
        .map(|file| file.target.as_str())
        .collect()
}

fn read_all(application: &Application) -> Vec<Vec<u8>> {
    let mut data = application.open_data();
    let mut all = Vec::new();
    while let Some((_, mut bytes)) = data.next_file().unwrap() {
        let mut contents = Vec::new();
        bytes.read_to_end(&mut contents).unwrap();
        all.push(contents);
    }
    all
}

#[test]
fn a_file_is_a_program_with_defaults() {
    let folder = folder(&[("my prog.wasm", WASM), ("Enarx.toml", b"nonsense")]);
    let application = load(&folder.path().join("my prog.wasm")).unwrap();
    assert_eq!(application.name, "my-prog");
    assert_eq!(*application.program.bytes().unwrap(), *WASM);
    assert_eq!(application.args, ["my prog.wasm"]);
    assert!(application.env.is_empty() && application.files.is_empty());
    let names: Vec<_> = application
        .descriptors
        .iter()
        .map(|descriptor| descriptor.name.as_str())
        .collect();
    assert_eq!(names, ["stdin", "stdout", "stderr"]);
}

#[test]
fn a_folder_is_loaded_with_its_configuration_and_data() {
    let folder = folder(&[
        (
            "Enarx.toml",
            b"args = [\"a\"]\n[env]\nA = \"1\"\nB = \"2\"\n[application]\nname = \"shop\"\n\
              [[mounts]]\nsource = \"data\"\ntarget = \"/srv\"\n\
              [[mounts]]\nsource = \"one.txt\"\ntarget = \"/etc/\"\n\
              [limits]\nmemory = 1000\n",
        ),
        ("main.wasm", WASM),
        ("other.wasm", b"another"),
        ("data/b/c", b"third"),
        ("data/a", b"second"),
        ("one.txt", b"1"),
    ]);
    let options = LoadOptions {
        args: vec!["b".into()],
        env: vec![("B".into(), "3".into()), ("0".into(), "4".into())],
        mounts: vec![Mount::new(folder.path().join("one.txt"), "/extra").unwrap()],
        limits: Limits {
            wall_milliseconds: Some(5),
            ..Limits::default()
        },
        ..LoadOptions::default()
    };
    let application = Application::load(folder.path(), options).unwrap();
    assert_eq!(application.name, "shop");
    assert_eq!(*application.program.bytes().unwrap(), *WASM);
    assert_eq!(application.args, ["main.wasm", "a", "b"]);
    let env: Vec<_> = application
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(env, ["0=4", "A=1", "B=3"]);
    assert_eq!(application.limits.memory_bytes, Some(1000));
    assert_eq!(application.limits.wall_milliseconds, Some(5));
    assert_eq!(
        targets(&application),
        ["/srv/a", "/srv/b/c", "/etc/one.txt", "/extra"]
    );
    assert_eq!(application.data_bytes(), 6 + 5 + 1 + 1);
    assert_eq!(
        read_all(&application),
        [
            b"second".to_vec(),
            b"third".to_vec(),
            b"1".to_vec(),
            b"1".to_vec()
        ]
    );
}

#[test]
fn the_program_of_a_folder_is_found_or_asked_for() {
    let only = folder(&[("x.wat", b"(module)")]);
    assert_eq!(load(only.path()).unwrap().args, ["x.wat"]);
    let preferred = folder(&[("main.wat", b"(module)"), ("a.wasm", WASM)]);
    assert_eq!(load(preferred.path()).unwrap().args, ["main.wat"]);

    let none = folder(&[("readme", b"")]);
    assert!(refusal(none.path()).contains("no .wasm or .wat"));
    let several = folder(&[("a.wasm", WASM), ("b.wat", b"(module)")]);
    let message = refusal(several.path());
    assert!(
        message.contains("a.wasm, b.wat") && message.contains("module ="),
        "{message}"
    );
    let missing = folder(&[("Enarx.toml", b"[application]\nmodule = \"gone.wasm\"")]);
    assert!(refusal(missing.path()).contains("gone.wasm"));
    assert!(refusal(Path::new("/nowhere/at/all")).contains("/nowhere/at/all"));
}

#[test]
fn nothing_leads_out_of_a_folder() {
    let outside = folder(&[("secret", b"s"), ("main.wasm", WASM)]);
    let secret = outside.path().join("secret");
    let mount =
        |source: &str| format!("[[mounts]]\nsource = {source:?}\ntarget = \"/d\"\n").into_bytes();

    let climbing = folder(&[("Enarx.toml", &mount("../secret")), ("main.wasm", WASM)]);
    assert!(refusal(climbing.path()).contains("leads out of"));

    let hidden = folder(&[
        ("Enarx.toml", &mount("a/../b")),
        ("main.wasm", WASM),
        ("b", b""),
    ]);
    assert!(refusal(hidden.path()).contains("leads out of"));

    let linked = folder(&[("Enarx.toml", &mount("link")), ("main.wasm", WASM)]);
    symlink(&secret, linked.path().join("link")).unwrap();
    let message = refusal(linked.path());
    assert!(message.contains("link: leads out of"), "{message}");

    let below = folder(&[
        ("Enarx.toml", &mount("data")),
        ("main.wasm", WASM),
        ("data/x", b""),
    ]);
    symlink(outside.path(), below.path().join("data/link")).unwrap();
    let message = refusal(below.path());
    assert!(message.contains("data/link: leads out of"), "{message}");

    let module = folder(&[("Enarx.toml", b"[application]\nmodule = \"main.wasm\"")]);
    symlink(
        outside.path().join("main.wasm"),
        module.path().join("main.wasm"),
    )
    .unwrap();
    assert!(refusal(module.path()).contains("leads out of"));

    // Links that stay inside are followed, also for a directory of the command line.
    let inside = folder(&[
        ("Enarx.toml", &mount("data")),
        ("main.wasm", WASM),
        ("data/x", b"1"),
    ]);
    symlink("x", inside.path().join("data/y")).unwrap();
    assert_eq!(targets(&load(inside.path()).unwrap()), ["/d/x", "/d/y"]);
    symlink(&secret, inside.path().join("data/z")).unwrap();
    let options = LoadOptions {
        mounts: vec![Mount::new(inside.path().join("data"), "/e").unwrap()],
        ..LoadOptions::default()
    };
    let error = Application::load(&outside.path().join("main.wasm"), options).unwrap_err();
    assert!(
        error.to_string().contains("data/z: leads out of"),
        "{error}"
    );
}

#[test]
fn circles_and_special_files_are_refused() {
    let mount = b"[[mounts]]\nsource = \"data\"\ntarget = \"/d\"\n";
    let circle = folder(&[("Enarx.toml", mount), ("main.wasm", WASM), ("data/x", b"")]);
    symlink(".", circle.path().join("data/self")).unwrap();
    assert!(refusal(circle.path()).contains("data/self: this link leads in a circle"));

    let special = folder(&[("Enarx.toml", mount), ("main.wasm", WASM), ("data/x", b"")]);
    let _listener =
        std::os::unix::net::UnixListener::bind(special.path().join("data/socket")).unwrap();
    assert!(refusal(special.path()).contains("data/socket: neither a file nor a directory"));
}

#[test]
fn one_place_holds_one_file() {
    let twice = folder(&[
        (
            "Enarx.toml",
            b"[[mounts]]\nsource = \"a\"\ntarget = \"/d/x\"\n\
              [[mounts]]\nsource = \"b\"\ntarget = \"/d/\"\n",
        ),
        ("main.wasm", WASM),
        ("a", b""),
        ("b/x", b""),
    ]);
    let message = refusal(twice.path());
    assert!(
        message.starts_with("/d/x: would be ") && message.contains("b/x"),
        "{message}"
    );

    let both = folder(&[
        (
            "Enarx.toml",
            b"[[mounts]]\nsource = \"a\"\ntarget = \"/d\"\n\
              [[mounts]]\nsource = \"a\"\ntarget = \"/d/x\"\n",
        ),
        ("main.wasm", WASM),
        ("a", b""),
    ]);
    assert!(refusal(both.path()).contains("/d: is a file and also a directory"));
}

#[test]
fn numbers_and_sizes_are_limited() {
    let file = |size| DataFile {
        kind: EntryKind::File,
        target: format!("/{size}"),
        size,
        digest: None,
        source: DataSource::Path("x".into()),
    };
    let message = mounts::check(&[file(MAX_DATA_BYTES - 1), file(2)])
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("/2: "), "{message}");
    let many: Vec<_> = (0..Manifest::MAX_ENTRIES as u64).map(file).collect();
    let message = mounts::check(&many).unwrap_err().to_string();
    assert!(message.contains("at most 16383"), "{message}");

    let sparse = folder(&[]);
    let path = sparse.path().join("huge.wasm");
    File::create(&path)
        .unwrap()
        .set_len(DEFAULT_MAX_SIZE as u64 + 1)
        .unwrap();
    assert!(refusal(&path).contains("huge.wasm: a program may have at most"));
}

#[test]
fn targets_are_plain_absolute_paths() {
    for target in ["/", "/a", "/a/", "/a/b.c"] {
        Mount::new("x", target).unwrap();
    }
    for target in ["", "a", "//", "/a//b", "/./a", "/a/..", "/a\0b", "//a"] {
        let error = Mount::new("x", target).unwrap_err();
        assert!(matches!(error, MountError::Target { .. }), "{target:?}");
    }
}

#[test]
fn environment_from_the_command_line_is_checked() {
    let folder = folder(&[("main.wasm", WASM)]);
    let options = LoadOptions {
        env: vec![("A=B".into(), "1".into())],
        ..LoadOptions::default()
    };
    let error = Application::load(folder.path(), options).unwrap_err();
    assert!(matches!(error, ApplicationError::Manifest(_)), "{error}");
}

/// Writes `application` as a package whose first entry is of `kind`.
fn pack(application: &Application, kind: EntryKind, key: &ContentKey, path: &Path) {
    let program = Entry {
        path: "main.wasm".into(),
        kind,
        size: application.program.size(),
        digest: None,
    };
    let workload = Workload {
        kind: WorkloadKind::Module,
        digest: digest(&application.program.bytes().unwrap()),
    };
    let target = (kind == EntryKind::Artifact).then_some([1; 48]);
    let manifest = application.manifest(workload, program, target);
    let sink = File::create(path).unwrap();
    let mut writer = PackageWriter::new(sink, key, [2; 32], &manifest).unwrap();
    writer
        .entry(&*application.program.bytes().unwrap())
        .unwrap();
    let mut data = application.open_data();
    while let Some((file, bytes)) = data.next_file().unwrap() {
        writer.entry(read_ahead(bytes, file.size)).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn packages_are_loaded_with_their_key() {
    let folder = folder(&[
        (
            "Enarx.toml",
            b"args = [\"x\"]\n[[mounts]]\nsource = \"data\"\ntarget = \"/d\"\n",
        ),
        ("main.wasm", WASM),
        ("data/large", &vec![7; 200_000]),
        ("data/small", b"s"),
    ]);
    let key = ContentKey::new([9; 32]);
    let original = load(folder.path()).unwrap();
    let path = folder.path().join("app.enarx");
    pack(&original, EntryKind::Wasm, &key, &path);

    let options = || LoadOptions {
        key: Some(key.clone()),
        ..LoadOptions::default()
    };
    let application = Application::load(&path, options()).unwrap();
    assert_eq!(application.args, original.args);
    assert_eq!(
        application.program.bytes().unwrap(),
        original.program.bytes().unwrap()
    );
    assert_eq!(targets(&application), ["/d/large", "/d/small"]);
    assert_eq!(read_all(&application), read_all(&original));

    // So that its keys are the same whenever it is deployed.
    let secret = application.secret.as_ref().map(OwnerSecret::expose);
    assert_eq!(secret, Some(key.expose()));
    assert!(original.secret.is_none());
    let named = LoadOptions {
        secret: Some(OwnerSecret::new([7; 32])),
        ..options()
    };
    let secret = Application::load(&path, named).unwrap().secret;
    assert_eq!(secret.unwrap().expose(), &[7; 32]);

    // Files of the command line follow those of the package.
    let more = LoadOptions {
        mounts: vec![Mount::new(folder.path().join("main.wasm"), "/more").unwrap()],
        ..options()
    };
    let extended = Application::load(&path, more).unwrap();
    assert_eq!(read_all(&extended)[2], WASM);

    assert!(matches!(
        load(&path),
        Err(ApplicationError::KeyNeeded { .. })
    ));
    let wrong = LoadOptions {
        key: Some(ContentKey::new([8; 32])),
        ..LoadOptions::default()
    };
    let error = Application::load(&path, wrong).unwrap_err().to_string();
    assert!(
        error.contains("app.enarx: the key is not the one"),
        "{error}"
    );

    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let altered = Application::load(&path, options()).unwrap();
    let mut data = altered.open_data();
    let failed = loop {
        match data.next_file() {
            Ok(Some((_, mut file))) => {
                if let Err(error) = io_copy(&mut file) {
                    break error.to_string();
                }
            }
            Ok(None) => panic!("not noticed"),
            Err(error) => panic!("noticed before it was read: {error}"),
        }
    };
    assert!(
        failed.contains("not the one that its owner sealed"),
        "{failed}"
    );

    fs::write(&path, &bytes[..bytes.len() / 2 - 100]).unwrap();
    assert!(Application::load(&path, options()).is_ok_and(|cut| {
        let mut data = cut.open_data();
        match data.next_file() {
            Ok(Some((_, mut file))) => io_copy(&mut file).is_err(),
            _ => false,
        }
    }));
}

#[test]
fn a_key_is_refused_for_what_is_no_package() {
    let folder = folder(&[("main.wasm", WASM)]);
    for path in [folder.path().to_owned(), folder.path().join("main.wasm")] {
        let options = LoadOptions {
            key: Some(ContentKey::new([9; 32])),
            ..LoadOptions::default()
        };
        let refused = Application::load(&path, options);
        assert!(matches!(refused, Err(ApplicationError::KeyUnused { .. })));
    }
}

#[test]
fn what_may_be_secret_is_not_shown_for_debugging() {
    let folder = folder(&[("main.wasm", WASM)]);
    let options = LoadOptions {
        args: vec!["hidden-argument".into()],
        env: vec![("NAME".into(), "hidden-value".into())],
        ..LoadOptions::default()
    };
    let shown = format!(
        "{options:?} {:?}",
        Application::load(folder.path(), options.clone()).unwrap()
    );
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(
        shown.contains("NAME") && shown.contains("program_bytes: 8"),
        "{shown}"
    );
}

#[test]
fn packages_for_one_keep_are_refused() {
    let folder = folder(&[("main.wasm", WASM)]);
    let key = ContentKey::new([9; 32]);
    let path = folder.path().join("sealed");
    pack(
        &load(folder.path()).unwrap(),
        EntryKind::Artifact,
        &key,
        &path,
    );
    let options = LoadOptions {
        key: Some(key),
        ..LoadOptions::default()
    };
    let error = Application::load(&path, options).unwrap_err();
    assert!(
        matches!(error, ApplicationError::SealedForOneKeep { .. }),
        "{error}"
    );
}

fn io_copy(source: &mut impl std::io::Read) -> std::io::Result<u64> {
    std::io::copy(source, &mut std::io::sink())
}

/// A certificate for localhost, and its key of ECDSA on P-256.
const CERTIFICATE: &str = include_str!("../../tests/tls/certificate.pem");
const PRIVATE_KEY: &str = include_str!("../../tests/tls/key.pem");

/// What is said about a folder whose program listens with TLS, with this `[tls]` table and these
/// files in it.
fn with_tls(table: &str, files: &[(&str, &str)]) -> Result<Application, ApplicationError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("main.wat", "(module)");
    let listener = "[[files]]\nkind = \"listen\"\nname = \"web\"\nport = 443";
    write("Enarx.toml", &format!("{listener}\n[tls]\n{table}"));
    for (name, text) in files {
        write(name, text);
    }
    Application::load(folder.path(), LoadOptions::default())
}

#[test]
fn certificates_and_keys_travel_with_the_application() {
    let application = with_tls(
        "certificate = \"c\"\nkey = \"k\"\nauthorities = \"c\"\nclient_authorities = \"c\"\n\
         clients = \"optional\"",
        &[("c", CERTIFICATE), ("k", PRIVATE_KEY)],
    )
    .unwrap();
    let kinds: Vec<_> = application.files.iter().map(|file| file.kind).collect();
    assert_eq!(
        kinds,
        [
            EntryKind::TlsCertificates,
            EntryKind::TlsKey,
            EntryKind::TlsClientAuthorities,
            EntryKind::TlsAuthorities,
        ]
    );
    assert!(application.tls.as_ref().unwrap().clients_optional);
    assert!(!format!("{application:?}").contains("PRIVATE"));
    let mut read = Vec::new();
    let mut data = application.open_data();
    while let Some((_, mut bytes)) = data.next_file().unwrap() {
        bytes.read_to_end(&mut read).unwrap();
    }
    let all = [CERTIFICATE, PRIVATE_KEY, CERTIFICATE, CERTIFICATE].concat();
    assert_eq!(read, all.as_bytes());
}

#[test]
fn what_is_wrong_with_certificates_and_keys_is_said_by_name() {
    let identity = "certificate = \"c\"\nkey = \"k\"";
    let large = "x".repeat((1 << 20) + 1);
    for (table, files, part) in [
        (
            identity,
            [("c", CERTIFICATE), ("k", "none")],
            "k: there is no private key",
        ),
        (
            identity,
            [("c", "none"), ("k", PRIVATE_KEY)],
            "c: there is no certificate",
        ),
        (
            identity,
            [("c", OTHER_CERTIFICATE), ("k", PRIVATE_KEY)],
            "k: this key does not belong",
        ),
        (
            identity,
            [("c", CERTIFICATE), ("k", OTHER_KEY)],
            "k: Keeps use keys of ECDSA on P-256",
        ),
        (
            identity,
            [("c", large.as_str()), ("k", PRIVATE_KEY)],
            "c: it has more than",
        ),
        ("authorities = \"x\"", [("c", ""), ("k", "")], "x"),
        (
            "authorities = \"../x\"",
            [("c", ""), ("k", "")],
            "leads out of",
        ),
        (
            "certificate = \"c\"",
            [("c", ""), ("k", "")],
            "needs its `key`",
        ),
        (
            "key = \"k\"",
            [("c", ""), ("k", "")],
            "needs its `certificate`",
        ),
        (
            "clients = \"optional\"",
            [("c", ""), ("k", "")],
            "`client_authorities`",
        ),
        (
            "names = [\"a b\"]",
            [("c", ""), ("k", "")],
            "neither a host's name",
        ),
    ] {
        let error = with_tls(table, &files).unwrap_err().to_string();
        assert!(error.contains(part), "{table}: {error}");
    }
}

#[test]
fn clients_are_asked_for_certificates_where_there_is_tls() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("main.wat", "(module)");
    write("c", CERTIFICATE);
    for (protocol, refused) in [("tls", false), ("tcp", true)] {
        write(
            "Enarx.toml",
            &format!(
                "[[files]]\nkind = \"listen\"\nname = \"web\"\nport = 1\nprot = \"{protocol}\"\n\
                 [tls]\nclient_authorities = \"c\""
            ),
        );
        let loaded = Application::load(folder.path(), LoadOptions::default());
        let error = loaded.err().map(|error| error.to_string());
        assert_eq!(
            error.is_some_and(|error| error.contains("clients")),
            refused
        );
    }
}

/// A self-signed certificate of another key, and a key of Ed25519.
const OTHER_CERTIFICATE: &str = include_str!("../../tests/tls/other.pem");
const OTHER_KEY: &str = include_str!("../../tests/tls/ed25519.pem");

#[test]
fn secrets_are_read_from_files_of_the_folder() {
    let application = |toml: &str| {
        let toml = format!("[config]\nb = \"2\"\n[secrets]\n{toml}");
        folder(&[
            ("Enarx.toml", toml.as_bytes()),
            ("main.wasm", WASM),
            ("secret", b"hush\n\n"),
            ("binary", b"\xff"),
            ("long", &[b'a'; 70_000]),
        ])
    };
    let good = application("a = { file = \"secret\" }");
    let loaded = load(good.path()).unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(loaded.config, [pair("a", "hush\n"), pair("b", "2")]);
    assert!(!format!("{loaded:?}").contains("hush"));
    for (toml, part) in [
        ("a = { file = \"binary\" }", "not UTF-8"),
        ("a = { file = \"long\" }", "more than 65536 bytes"),
        ("a = { file = \"gone\" }", "gone"),
        ("a = { file = \"../secret\" }", "secret"),
        (
            "a = { env = \"NOBODY_SETS_THIS\" }",
            "NOBODY_SETS_THIS is not set",
        ),
    ] {
        let message = refusal(application(toml).path());
        assert!(message.contains(part), "{toml}: {message}");
    }
}
