use enarx_wire_package::{DescriptorKind, Endpoint, NetworkRule, Protocol, Transport};

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
fn descriptors_are_as_in_enarx() {
    let configuration = parse(
        r#"
        [[files]]
        kind = "stdin"
        [[files]]
        name = "X"
        kind = "listen"
        prot = "tcp"
        port = 9000
        [[files]]
        kind = "stdout"
        [[files]]
        kind = "null"
        [[files]]
        kind = "stderr"
        [[files]]
        kind = "connect"
        host = "example.com"
        [[files]]
        kind = "listen"
        name = "Y"
        addr = "127.0.0.1"
        "#,
    );
    let descriptors = configuration.unwrap().descriptors.unwrap();
    let names: Vec<_> = descriptors.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["stdin", "X", "stdout", "null", "stderr", "example.com", "Y"]
    );
    let endpoint = |host: &str, port, protocol| Endpoint {
        host: host.into(),
        port,
        protocol,
    };
    let listen = DescriptorKind::Listen(endpoint("::", 9000, Protocol::Tcp));
    assert_eq!(descriptors[1].kind, listen);
    let connect = DescriptorKind::Connect(endpoint("example.com", 443, Protocol::Tls));
    assert_eq!(descriptors[5].kind, connect);
    let listen = DescriptorKind::Listen(endpoint("127.0.0.1", 443, Protocol::Tls));
    assert_eq!(descriptors[6].kind, listen);
}

#[test]
fn components_have_tables_of_their_own() {
    let configuration = parse(
        r#"
        [http]
        port = 8443
        timeout = "5s"
        [network]
        connect = ["https://api.example", "http://[::1]", "tcp://*:5432", "udp://192.0.2.1:*"]
        listen = ["tcp://[::]:0"]
        [config]
        a = "1"
        [secrets]
        b = { file = "secret" }
        c = { env = "C" }
        [limits]
        cpu = "1s"
        table_elements = 10
        instances = 2
        output = 1000
        "#,
    )
    .unwrap();
    let http = configuration.http.unwrap();
    assert_eq!(
        (http.endpoint.host.as_str(), http.endpoint.port),
        ("::", 8443)
    );
    assert_eq!(http.endpoint.protocol, Protocol::Tls);
    assert_eq!((http.requests, http.request_milliseconds), (32, 5000));
    let rule = |transport, host: Option<&str>, port| NetworkRule {
        transport,
        host: host.map(str::to_owned),
        port,
    };
    let network = configuration.network.unwrap();
    assert_eq!(
        network.connect,
        [
            rule(Transport::Https, Some("api.example"), Some(443)),
            rule(Transport::Http, Some("::1"), Some(80)),
            rule(Transport::Tcp, None, Some(5432)),
            rule(Transport::Udp, Some("192.0.2.1"), None),
        ]
    );
    assert_eq!(network.listen, [rule(Transport::Tcp, Some("::"), Some(0))]);
    assert_eq!(configuration.config["a"], "1");
    assert_eq!(
        configuration.secrets["b"],
        SecretSource::File("secret".into())
    );
    assert_eq!(
        configuration.secrets["c"],
        SecretSource::Environment("C".into())
    );
    let limits = configuration.limits;
    assert_eq!(limits.processor_milliseconds, Some(1000));
    assert_eq!(limits.table_elements, Some(10));
    assert_eq!(limits.instances, Some(2));
    assert_eq!(limits.output_bytes, Some(1000));
    assert!(parse("[network]").unwrap().network.is_some());
}

#[test]
fn wrong_values_are_shown_with_their_place() {
    for (text, line, column, part) in [
        ("args = [1]", 1, 9, "invalid type"),
        ("args = [\"a\\u0000\"]", 1, 9, "NUL"),
        ("[env]\n\"A=B\" = \"x\"", 2, 9, "name of a variable"),
        ("[[files]]\nkind = \"socket\"", 2, 8, "unknown kind"),
        ("steward = \"https://steward.example\"", 1, 11, "no Steward"),
        (
            "[[files]]\nkind = \"listen\"\nname = \"a\"\nhost = \"a.example\"",
            4,
            8,
            "does not belong",
        ),
        (
            "[[files]]\nkind = \"listen\"\nname = \"a\"\naddr = \"localhost\"",
            4,
            8,
            "IP address",
        ),
        ("[[files]]\nkind = \"listen\"", 2, 8, "`name` is missing"),
        ("[[files]]\nkind = \"connect\"", 2, 8, "`host` is missing"),
        (
            "[[files]]\nkind = \"connect\"\nhost = \"::1\"",
            2,
            8,
            "`name` is missing",
        ),
        (
            "[[files]]\nkind = \"connect\"\nhost = \"a b\"",
            3,
            8,
            "neither",
        ),
        (
            "[[files]]\nkind = \"connect\"\nhost = \"a\"\nport = 0",
            4,
            8,
            "port 0",
        ),
        (
            "[[files]]\nkind = \"connect\"\nhost = \"a\"\nprot = \"ssl\"",
            4,
            8,
            "unknown protocol",
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
        (
            "[network]\nconnect = [\"db.example:1\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"tcp://a\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"tcp://a b:1\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"ftp://a:1\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"tcp://[::1:1\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"https://a/path\"]",
            2,
            12,
            "not of the form",
        ),
        (
            "[network]\nconnect = [\"tcp://a:0\"]",
            2,
            12,
            "nobody can be reached",
        ),
        ("[network]\nlisten = [\"https://*\"]", 2, 11, "`[http]`"),
        (
            "[network]\nlisten = [\"tcp://a.example:1\"]",
            2,
            11,
            "IP address",
        ),
        ("[http]\naddr = \"localhost\"", 2, 8, "IP address"),
        ("[http]\nprot = \"http\"", 2, 8, "unknown protocol"),
        ("[http]\nrequests = 0", 2, 12, "between 1 and"),
        ("[http]\ntimeout = \"0s\"", 2, 11, "at least 1ms"),
        ("[http]\nhost = \"a\"", 2, 1, "unknown key"),
        ("[config]\na = 1", 2, 5, "invalid type"),
        ("[secrets]\na = {}", 2, 5, "comes from"),
        (
            "[secrets]\na = { file = \"a\", env = \"A\" }",
            2,
            5,
            "comes from",
        ),
        (
            "[config]\na = \"1\"\n[secrets]\na = { env = \"A\" }",
            4,
            5,
            "is a key of `[config]`",
        ),
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
