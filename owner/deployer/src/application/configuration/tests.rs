use super::*;

fn parse(text: &str) -> Result<Configuration, Box<ConfigurationError>> {
    Configuration::parse(Path::new("app/Enarx.toml"), text)
}

/// Line, column and message of the error in `text`.
fn refusal(text: &str) -> (usize, usize, String) {
    let error = parse(text).unwrap_err();
    (error.line, error.column, error.message)
}

#[test]
fn everything_at_once() {
    let configuration = parse(
        r#"
        args = ["--one", "two"]
        [env]
        B = "2"
        A = ""
        [[files]]
        kind = "null"
        [[files]]
        kind = "stdout"
        name = "OUT"
        [application]
        name = "a.b_c-1"
        module = "bin/app.wasm"
        [[mounts]]
        source = "data"
        target = "/data"
        [limits]
        memory = "256MiB"
        timeout = "1m 30s"
        "#,
    )
    .unwrap();
    assert_eq!(configuration.args, ["--one", "two"]);
    assert_eq!(configuration.env["B"], "2");
    let descriptors = configuration.descriptors.unwrap();
    assert_eq!(descriptors[0].kind, DescriptorKind::Null);
    assert_eq!(descriptors[0].name, "null");
    assert_eq!(descriptors[1].name, "OUT");
    assert_eq!(configuration.limits.memory_bytes, Some(256 << 20));
    assert_eq!(configuration.limits.wall_milliseconds, Some(90_000));
    assert_eq!(configuration.mounts[0].target, "/data");
    assert_eq!(parse("").unwrap(), Configuration::default());
    assert_eq!(parse("files = []").unwrap().descriptors, Some(Vec::new()));
}

#[test]
fn unknown_keys_are_shown_with_their_place() {
    let error = parse("args = []\n\n[limits]\nmemmory = 1\n").unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("app/Enarx.toml:4:1: unknown key `memmory`, expected"),
        "{shown}"
    );
    assert!(
        shown.ends_with("  |\n4 | memmory = 1\n  | ^^^^^^^"),
        "{shown}"
    );
    for (text, line, column) in [
        ("arg = []", 1, 1),
        ("[limit]\nmemory = 1", 1, 2),
        ("[[files]]\nkind = \"null\"\n  mode = 1", 3, 3),
        ("[application]\nmodul = \"x\"", 2, 1),
        (
            "[[mounts]]\nsource = \"a\"\ntarget = \"/a\"\nflags = 1",
            4,
            1,
        ),
    ] {
        let (found_line, found_column, message) = refusal(text);
        assert_eq!((found_line, found_column), (line, column), "{message}");
        assert!(message.contains("unknown key"), "{message}");
    }
}

#[test]
fn networking_is_refused_by_name() {
    for text in [
        "steward = \"https://steward.example\"",
        "[[files]]\nkind = \"listen\"\nname = \"X\"\nport = 9000\nprot = \"tls\"",
        "[[files]]\nkind = \"connect\"\nhost = \"example.com\"",
    ] {
        let (_, _, message) = refusal(text);
        assert!(
            message.contains("networking is not in this version"),
            "{message}"
        );
    }
}

#[test]
fn wrong_values_are_shown_with_their_place() {
    for (text, line, column, part) in [
        ("args = [1]", 1, 9, "invalid type"),
        ("args = [\"a\\u0000\"]", 1, 9, "NUL"),
        ("[env]\n\"A=B\" = \"x\"", 2, 9, "name of a variable"),
        ("[[files]]\nkind = \"socket\"", 2, 8, "unknown kind"),
        ("files = [{ kind = \"stdout\" }]", 1, 19, "for input"),
        (
            "files = [{ kind = \"null\" }, { kind = \"stdin\" }]",
            1,
            38,
            "for output",
        ),
        (
            "[[files]]\nkind = \"null\"\n[[files]]\nkind = \"null\"\n\
             [[files]]\nkind = \"null\"\n[[files]]\nkind = \"null\"",
            8,
            8,
            "no more than",
        ),
        (
            "[[files]]\nkind = \"null\"\nport = 1",
            3,
            8,
            "does not belong",
        ),
        ("[[files]]\nkind = \"null\"\nname = \"a:b\"", 3, 8, "':'"),
        ("[[files]]\nname = \"a\"", 1, 1, "missing key `kind`"),
        ("[application]\nname = \"a b\"", 2, 8, "letters"),
        (
            "[[mounts]]\nsource = \"/etc\"\ntarget = \"/a\"",
            2,
            10,
            "relative",
        ),
        (
            "[[mounts]]\nsource = \"a\"\ntarget = \"a\"",
            3,
            10,
            "absolute",
        ),
        (
            "[[mounts]]\nsource = \"a\"\ntarget = \"/a/../b\"",
            3,
            10,
            "absolute",
        ),
        ("[limits]\nmemory = \"much\"", 2, 10, "is not a size"),
        ("[limits]\nmemory = -1", 2, 10, "number of bytes"),
        ("[limits]\ntimeout = \"30\"", 2, 11, "is not a time"),
        ("[limits]\ntimeout = 30", 2, 11, "invalid type"),
        ("args = [", 1, 9, ""),
        ("a b", 1, 3, ""),
    ] {
        let (found_line, found_column, message) = refusal(text);
        assert_eq!(
            (found_line, found_column),
            (line, column),
            "{text}: {message}"
        );
        assert!(message.contains(part), "{text}: {message}");
    }
}
