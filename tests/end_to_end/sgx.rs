//! Keeps in simulated SGX enclaves.

use serde_json::Value;

use crate::harness::{Place, program};

const SGX: [&str; 4] = ["run", "--backend", "sgx", "--simulate"];

#[test]
fn without_sgx_and_without_a_flag_nothing_runs() {
    if std::path::Path::new("/dev/sgx_enclave").exists() {
        return;
    }
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let finished = place.run(["run", "--backend", "sgx", module.to_str().unwrap()]);
    assert_ne!(finished.status, 0);
    finished.says("/dev/sgx_enclave").says("--simulate");
}

#[test]
fn the_measurement_is_the_one_that_is_told() {
    let place = Place::new();
    let key = place.path().join("key.pem");
    let key = key.to_str().unwrap();
    let signer = place.run(["key", "generate", key]).expect(0);
    place
        .run(["key", "generate", key])
        .expect(125)
        .says("does not exist yet");
    let shown = place.run(["key", "show", key, "--json"]).expect(0);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["mrsigner"], signer.text().trim());

    let measured = ["measure", "--platform", "sgx", "--key", key, "--json"];
    let measured = place.run(measured).expect(0);
    let measured: Value = serde_json::from_slice(&measured.stdout).unwrap();
    assert_eq!(measured["mrsigner"], shown["mrsigner"]);
    let measurement = measured["launch_digests"]["sgx"][0].as_str().unwrap();
    assert_eq!(measurement.len(), 64);

    let module = place.file("app.wat", program("", ""));
    let policy = |measurement: &str| {
        let text = format!(
            "name = \"pinned\"\nplatforms = [\"sgx\"]\nsimulation = \"allow\"\n\
             measurements = [\"{measurement}\"]\n"
        );
        place.file("policy.toml", text)
    };
    let run = |policy: &std::path::Path| {
        let policy = policy.to_str().unwrap();
        let arguments = ["--policy", policy, module.to_str().unwrap()];
        place.run([&SGX[..], &arguments].concat())
    };
    run(&policy(measurement)).expect(0);
    let debug = ["measure", "--platform", "sgx", "--debug", "--json"];
    let debug = place.run(debug).expect(0);
    let debug: Value = serde_json::from_slice(&debug.stdout).unwrap();
    let other = debug["launch_digests"]["sgx"][0].as_str().unwrap();
    assert_ne!(run(&policy(other)).status, 0);

    let file = place.path().join("keep.sigstruct");
    let file = file.to_str().unwrap();
    let signed = place
        .run(["key", "sign", key, "-o", file, "--json"])
        .expect(0);
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    assert_eq!(signed["mrenclave"], measurement);
    assert_eq!(std::fs::metadata(file).unwrap().len(), 1808);
}

#[test]
fn a_selftest_passes_in_the_simulator_and_says_what_a_machine_lacks() {
    let place = Place::new();
    let tested = place
        .run(["platform", "selftest", "sgx", "--simulate", "--json"])
        .expect(0);
    let tested: Value = serde_json::from_slice(&tested.stdout).unwrap();
    assert_eq!(tested["passed"], true);
    let outcome = |name: &str| {
        let steps = tested["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name);
        step.unwrap()["outcome"].clone()
    };
    for passed in ["a Keep starts", "a program runs", "faults are traps"] {
        assert_eq!(outcome(passed), "passed", "{passed}");
    }
    assert_eq!(outcome("quoting service"), "skipped");
    if std::path::Path::new("/dev/sgx_enclave").exists() {
        return;
    }
    let failed = place
        .run(["platform", "selftest", "sgx", "--json"])
        .expect(1);
    let failed: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(failed["passed"], false);
    for step in failed["steps"].as_array().unwrap() {
        let is_failed = step["outcome"] == "failed";
        assert_eq!(is_failed, step["remedy"].is_string(), "{step}");
    }
}

#[test]
fn a_fast_enclave_says_so_and_measures_the_same() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let fast = [&SGX[..], &["--fast", module.to_str().unwrap()]].concat();
    place.run(fast).expect(0).says("after it was measured");
    let elsewhere = ["run", "--simulate", "--fast", module.to_str().unwrap()];
    place.run(elsewhere).expect(125).says("--backend sgx");
}

#[test]
fn the_table_of_trusted_code_is_printed() {
    let place = Place::new();
    let table = place.run(["measure", "--trusted-code"]).expect(0);
    assert!(table.text().contains("keep/shim-sgx"), "{}", table.text());
    let table = place.run(["measure", "--trusted-code", "--json"]).expect(0);
    let table: Value = serde_json::from_slice(&table.stdout).unwrap();
    assert!(table["measured_pages"]["sgx"].as_u64().unwrap() <= 64);
    assert_eq!(table["programs"][1]["name"], "enarx-keep-shim-sgx");
}

#[test]
fn the_memory_strategy_is_measured_and_demanded() {
    let place = Place::new();
    let module = place.file("app.wat", program("", ""));
    let measure = |more: &[&str]| {
        let arguments = [&["measure", "--platform", "sgx", "--json"], more].concat();
        let measured = place.run(arguments).expect(0);
        let measured: Value = serde_json::from_slice(&measured.stdout).unwrap();
        let digest = measured["launch_digests"]["sgx"][0].as_str();
        digest.unwrap().to_owned()
    };
    let bounded = measure(&["--bounded-memory"]);
    assert_ne!(bounded, measure(&[]));
    let policy = place.file(
        "policy.toml",
        format!(
            "name = \"pinned\"\nplatforms = [\"sgx\"]\nsimulation = \"allow\"\n\
             measurements = [\"{bounded}\"]\n"
        ),
    );
    let pinned = ["--policy", policy.to_str().unwrap()];
    let module = [module.to_str().unwrap()];
    place
        .run([&SGX[..], &pinned, &["--bounded-memory"], &module].concat())
        .expect(0);
    let guarded = place.run([&SGX[..], &pinned, &module].concat());
    assert_ne!(guarded.status, 0);
}
