use clap::{Command as Definition, CommandFactory as _, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// The commands of the tree below `definition`, each with its path.
fn all(definition: &Definition, path: &str) -> Vec<(String, Definition)> {
    let mut found = vec![(path.to_owned(), definition.clone())];
    for command in definition.get_subcommands() {
        if command.get_name() != "help" {
            found.extend(all(command, &format!("{path} {}", command.get_name())));
        }
    }
    found
}

fn tree() -> Vec<(String, Definition)> {
    let mut definition = Cli::command();
    definition.build();
    all(&definition, "enarx")
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn what_is_parsed_quickly_is_parsed_alike() {
    for line in [
        "enarx run app.wasm",
        "enarx run -q -b process -e A=1 app --color never -- --x -y",
        "enarx run -s",
        "enarx run --simulated app",
        "enarx run -q -v app",
        "enarx run --help",
        "enarx run -h",
        "enarx run --version",
        "enarx -q run app",
        "enarx ps",
        "enarx",
        "enarx runs",
    ] {
        let words = line.split_whitespace().map(OsString::from).collect();
        let told = |parsed: Result<Cli, clap::Error>| match parsed {
            Ok(cli) => format!("{cli:?}"),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        assert_eq!(told(Cli::quickly(words)), told(parse(line)), "{line}");
    }
}

#[test]
fn every_command_parses() {
    for line in [
        "enarx run app.wasm",
        "enarx run -b process -s -e A=1 -e PATH -m data:/data --memory-limit 1MiB --timeout 5s app -- --x -y",
        "enarx run -k key -p policy.toml --keep-memory 2GiB --cpu-time 90s --suite dhkem-x25519 --no-cache p",
        "enarx deploy app --to https://host:1 --token-file t --tls-authorities ca.pem -d --json",
        "enarx deploy --to local --simulate app",
        "enarx ps",
        "enarx ps --host http://host:1 --json",
        "enarx ps --sessions",
        "enarx ps --forget-gone",
        "enarx logs -f 3f",
        "enarx attach --from-start --no-input 3f --host http://other:1",
        "enarx stop -t 5s 3f",
        "enarx stop --kill --forget 3f",
        "enarx host serve",
        "enarx host serve -l [::1]:0 --max-keeps 2 --max-package 1GiB --idle-time 1m --log-format json",
        "enarx host serve --tls-certificate c --tls-key k",
        "enarx platform --json",
        "enarx platform selftest sgx --simulate --json",
        "enarx platform selftest sgx --fetch",
        "enarx run -b sgx -s --fast app",
        "enarx deploy --to http://host:1 --fetch --intel-service http://pccs:1 app",
        "enarx measure --trusted-code --json",
        "enarx measure --bounded-memory",
        "enarx run --backend process --bounded-memory app",
        "enarx measure --keep-memory 512MiB",
        "enarx measure --platform sgx --threads 4 --debug --key key.pem --json",
        "enarx key generate key.pem --json",
        "enarx key generate file --secret --json",
        "enarx run -b process --secret file app",
        "enarx deploy --to http://host:1 -k key --secret file p",
        "enarx key show key.pem",
        "enarx key sign key.pem --product 1 --security-version 2 --threads 64 -o out --json",
        "enarx package build app -o out -k key --force -e A=1 -- x",
        "enarx package inspect p -k key --json",
        "enarx package verify p --key key",
        "enarx config init",
        "enarx config init folder --force",
        "enarx config check folder",
        "enarx policy show simulation",
        "enarx policy check file",
        "enarx completions bash",
        "enarx man directory",
        "enarx -q --color never platform",
        "enarx platform -vv",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_usage_is_refused() {
    for (line, kind) in [
        ("enarx run", ErrorKind::MissingRequiredArgument),
        ("enarx deploy app", ErrorKind::MissingRequiredArgument),
        ("enarx run app -b vax", ErrorKind::ValueValidation),
        ("enarx run app --timeout 30", ErrorKind::ValueValidation),
        (
            "enarx run app --keep-memory lots",
            ErrorKind::ValueValidation,
        ),
        ("enarx run app --suite rsa", ErrorKind::ValueValidation),
        ("enarx run app -m data:relative", ErrorKind::ValueValidation),
        ("enarx run app --no-such-flag", ErrorKind::UnknownArgument),
        (
            "enarx package inspect p",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "enarx host serve --tls-key k",
            ErrorKind::MissingRequiredArgument,
        ),
        ("enarx host serve -l nowhere", ErrorKind::ValueValidation),
        ("enarx platform -q -v", ErrorKind::ArgumentConflict),
        (
            "enarx ps --sessions --forget-gone",
            ErrorKind::ArgumentConflict,
        ),
        ("enarx policy show lax", ErrorKind::ValueValidation),
        ("enarx measure --threads 65", ErrorKind::ValueValidation),
        ("enarx key generate", ErrorKind::MissingRequiredArgument),
        (
            "enarx key generate file --secret --platform snp",
            ErrorKind::ArgumentConflict,
        ),
        ("enarx completions tcsh", ErrorKind::InvalidValue),
        ("enarx conquer", ErrorKind::InvalidSubcommand),
    ] {
        match parse(line) {
            Ok(_) => panic!("{line}: accepted"),
            Err(error) => assert_eq!(error.kind(), kind, "{line}: {error}"),
        }
    }
}

#[test]
fn everything_is_documented() {
    for (path, command) in tree() {
        assert!(command.get_about().is_some(), "{path} has no help");
        for argument in command.get_arguments() {
            let name = argument.get_id();
            let help = argument
                .get_help()
                .unwrap_or_else(|| panic!("{path} {name}"));
            let help = help.to_string();
            assert!(!help.trim_end().ends_with('.'), "{path} {name}: {help}");
            assert!(help.chars().count() <= 80, "{path} {name}: {help}");
        }
        let acts = !command.has_subcommands();
        let example = command.get_after_help().map(ToString::to_string);
        assert!(
            !acts || example.is_some_and(|text| text.contains("enarx ")),
            "{path} has no example"
        );
    }
}

#[test]
fn examples_in_the_help_parse() {
    for (path, command) in tree() {
        let text = command
            .get_after_long_help()
            .or(command.get_after_help())
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace("\\\n", " ");
        let examples = text.split("Exit status:").next().unwrap_or_default();
        for line in examples.lines().filter_map(|line| line.strip_prefix("  ")) {
            let Some(start) = line.find("enarx ") else {
                continue;
            };
            // A remark, a redirection or another command may follow.
            let end = ["   ", " > ", " && "]
                .into_iter()
                .filter_map(|mark| line[start..].find(mark))
                .min();
            let example = &line[start..end.map_or(line.len(), |end| start + end)];
            // LANG may not be set where this runs.
            let words = example
                .split_whitespace()
                .map(|word| if word == "LANG" { "LANG=C" } else { word });
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{path}: {line}: {error}");
            }
        }
    }
}

#[test]
fn the_help_ends_with_the_exit_status() {
    let help = Cli::command().render_long_help().to_string();
    assert!(
        help.contains("Exit status:") && help.contains("  134  "),
        "{help}"
    );
    assert!(help.contains("Examples:"), "{help}");
}
