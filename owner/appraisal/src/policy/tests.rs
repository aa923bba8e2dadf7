//! Reading of policies.

use super::*;
use crate::Position;

#[test]
fn every_key_is_read() {
    let text = format!(
        r#"
            name = "mine"
            description = "What I want."
            technologies = ["snp", "tdx"]
            platforms = ["snp", "cvm"]
            products = ["Genoa", "tdx"]
            measurements = ["keep-image", "reference-values", "any", "{measurement}", "{short}"]
            tcb_statuses = ["UpToDate", "TDRelaunchAdvised"]
            advisories = ["INTEL-SA-00615"]
            revocation = "demand"
            maximum_collateral_age = 14
            debug = "allow"
            maximum_vmpl = 2
            machines = ["{chip}", "0102030405060708"]
            host_data = "{host}"
            simulation = "allow"
            simulation_roots = ["{root}"]
            [minimum_tcb.snp]
            fmc = 1
            bootloader = 2
            tee = 3
            snp = 4
            microcode = 255
            reported.snp = 5
            committed.snp = 6
            current.snp = 7
            launch.snp = 8
            [snp]
            required_flags = ["single_socket"]
            forbidden_flags = ["smt_enabled", "cxl_allowed"]
            minimum.guest_svn = 9
            numbers.guest_svn = [9, 10]
            values.image_id = ["ff", ""]
            [sgx.values]
            mrsigner = ["{root}"]
        "#,
        measurement = "aB".repeat(48),
        short = "cd".repeat(32),
        chip = "11".repeat(64),
        host = "22".repeat(32),
        root = "33".repeat(48),
    );
    let snp = |version| MinimumSnpTcb {
        snp: Some(version),
        ..MinimumSnpTcb::default()
    };
    let snp_rules = TechnologyRules {
        required_flags: vec!["single_socket"],
        forbidden_flags: vec!["smt_enabled", "cxl_allowed"],
        minimum: BTreeMap::from([("guest_svn", 9)]),
        numbers: BTreeMap::from([("guest_svn", vec![9, 10])]),
        values: BTreeMap::from([("image_id", vec![vec![0xff], vec![]])]),
    };
    let sgx_rules = TechnologyRules {
        values: BTreeMap::from([("mrsigner", vec![vec![0x33; 48]])]),
        ..TechnologyRules::default()
    };
    assert_eq!(
        Policy::from_toml(&text),
        Ok(Policy {
            name: "mine".into(),
            description: "What I want.".into(),
            technologies: vec![Technology::Snp, Technology::Tdx],
            platforms: vec![Platform::Snp, Platform::Cvm],
            products: Some(vec!["Genoa".into(), "tdx".into()]),
            measurements: vec![
                AcceptedMeasurement::KeepImage,
                AcceptedMeasurement::ReferenceValues,
                AcceptedMeasurement::Any,
                AcceptedMeasurement::Value(vec![0xab; 48]),
                AcceptedMeasurement::Value(vec![0xcd; 32]),
            ],
            minimum_tcb: MinimumTcb {
                snp: MinimumSnpTcbs {
                    every: MinimumSnpTcb {
                        fmc: Some(1),
                        bootloader: Some(2),
                        tee: Some(3),
                        snp: Some(4),
                        microcode: Some(255),
                    },
                    reported: snp(5),
                    committed: snp(6),
                    current: snp(7),
                    launch: snp(8),
                }
            },
            tcb_statuses: vec![TcbStatus::UpToDate, TcbStatus::TdRelaunchAdvised],
            advisories: Some(vec!["INTEL-SA-00615".into()]),
            revocation: Revocation::Demand,
            maximum_collateral_age: Some(14),
            debug: Permission::Allow,
            maximum_vmpl: 2,
            machines: Some(vec![vec![0x11; 64], vec![1, 2, 3, 4, 5, 6, 7, 8]]),
            host_data: Some([0x22; 32]),
            simulation: Permission::Allow,
            simulation_roots: Some(vec![[0x33; 48]]),
            rules: BTreeMap::from([(Technology::Snp, snp_rules), (Technology::Sgx, sgx_rules)]),
        })
    );
}

#[test]
fn what_is_not_said_is_denied() {
    let policy = Policy::from_toml("").unwrap();
    assert_eq!(policy.debug, Permission::Deny);
    assert_eq!(policy.simulation, Permission::Deny);
    assert_eq!(policy.maximum_vmpl, 0);
    assert_eq!(policy.measurements, [AcceptedMeasurement::KeepImage]);
    assert_eq!(policy.platforms, Platform::ALL);
    assert!(matches!(policy.simulated_roots(), SimulatedRoots::None));
}

#[test]
fn unknown_keys_are_named_with_line_and_column() {
    for (text, key, line, column) in [
        ("debgu = \"deny\"", "debgu", 1, 1),
        ("# ä\nname = \"x\"\n  Debug = \"deny\"\n", "Debug", 3, 3),
        (
            "[minimum_tcb.snp]\n\n bootlader = 3",
            "minimum_tcb.snp.bootlader",
            3,
            2,
        ),
        ("[minimum_tcb]\nsgx = {}", "minimum_tcb.sgx", 2, 1),
        (
            "minimum_tcb = { snp = { svn = 1 } }",
            "minimum_tcb.snp.svn",
            1,
            25,
        ),
        ("minimum_tcb.snp.ucode = 1", "minimum_tcb.snp.ucode", 1, 17),
        ("[snp]\nrequired = []", "snp.required", 2, 1),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        let PolicyError::UnknownKey {
            position,
            key: named,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (named.as_str(), *position),
            (key, Position { line, column })
        );
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn bad_values_are_named_with_line_and_column() {
    for (text, key, line, column) in [
        ("debug = \"maybe\"", "debug", 1, 9),
        ("debug = true", "debug", 1, 9),
        ("platforms = [\"snp\",\n \"pef\"]", "platforms", 2, 2),
        ("platforms = \"snp\"", "platforms", 1, 13),
        ("platforms = []", "platforms", 1, 13),
        ("measurements = []", "measurements", 1, 16),
        ("measurements = [\"keepimage\"]", "measurements", 1, 17),
        ("measurements = [\"abcd\"]", "measurements", 1, 17),
        ("maximum_vmpl = 4", "maximum_vmpl", 1, 16),
        ("maximum_vmpl = -1", "maximum_vmpl", 1, 16),
        ("machines = [\"00\"]", "machines", 1, 13),
        ("technologies = [\"pef\"]", "technologies", 1, 17),
        ("products = [\"Rome\"]", "products", 1, 13),
        ("tcb_statuses = [\"uptodate\"]", "tcb_statuses", 1, 17),
        ("revocation = \"never\"", "revocation", 1, 14),
        (
            "[snp]\nrequired_flags = [\"sept_ve_disable\"]",
            "snp.required_flags",
            2,
            19,
        ),
        (
            "[snp]\nrequired_flags = [\"smt_enabled\"]\nforbidden_flags = [\"smt_enabled\"]",
            "snp.forbidden_flags",
            3,
            20,
        ),
        ("[tdx.minimum]\nisv_svn = 1", "tdx.minimum.isv_svn", 2, 1),
        ("[sgx]\nnumbers.isv_svn = []", "sgx.numbers.isv_svn", 2, 19),
        (
            "[sgx]\nvalues.mrsigner = [\"xy\"]",
            "sgx.values.mrsigner",
            2,
            20,
        ),
        ("machines = []", "machines", 1, 12),
        ("host_data = \"00\"", "host_data", 1, 13),
        ("[minimum_tcb.snp]\nsnp = 256", "minimum_tcb.snp.snp", 2, 7),
        (
            "simulation = \"allow\"\nsimulation_roots = [\"zz\"]",
            "simulation_roots",
            2,
            21,
        ),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        let PolicyError::Value {
            position,
            key: named,
            ..
        } = &error
        else {
            panic!("{text}: {error:?}");
        };
        let place = Position { line, column };
        assert_eq!((named.as_str(), *position), (key, place), "{text}");
    }
}

#[test]
fn a_key_without_effect_is_refused() {
    let text = format!("simulation_roots = [\"{}\"]", "00".repeat(48));
    let error = Policy::from_toml(&text).unwrap_err();
    assert!(matches!(&error, PolicyError::Value { key, .. } if key == "simulation_roots"));
}

#[test]
fn what_is_not_toml_has_a_place_too() {
    for (text, line) in [
        ("name = ", 1),
        ("\n\n= 3", 3),
        ("name = \"a\"\nname = \"b\"", 2),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        let PolicyError::Syntax { position, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(position.line, line, "{text}");
    }
}
