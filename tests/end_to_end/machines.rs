//! Keeps in virtual machines whose TEE the host plays.

use serde_json::Value;

use crate::harness::{Place, program, shared};

#[test]
fn selftests_pass_where_the_host_plays_the_tee() {
    let Some(place) = Place::with_machines("kvm") else {
        return;
    };
    for backend in ["snp", "tdx"] {
        let line = ["platform", "selftest", backend, "--simulate", "--json"];
        let tested = Place::new().run(line).expect(0);
        let tested: Value = serde_json::from_slice(&tested.stdout).unwrap();
        assert_eq!(tested["passed"], true, "{backend}");
        let steps = tested["steps"].as_array().unwrap();
        let passed = |name: &str| {
            let step = steps.iter().find(|step| step["name"] == name);
            assert_eq!(step.unwrap()["outcome"], "passed", "{backend}: {name}");
        };
        passed("the evidence is accepted");
        passed("memory grows");
        passed("faults are traps");
        if std::path::Path::new("/dev/sev").exists() {
            continue;
        }
        // Without the hardware it says what is missing, and tries nothing.
        let line = ["platform", "selftest", backend, "--json"];
        let failed = place.run(line).expect(1);
        let failed: Value = serde_json::from_slice(&failed.stdout).unwrap();
        assert_eq!(failed["passed"], false, "{backend}");
    }
}

#[test]
fn a_trust_domain_proves_itself_with_a_quote() {
    let Some(place) = Place::with_machines("tdx") else {
        return;
    };
    let measure = ["measure", "--platform", "tdx", "--json"];
    let measure = |more: &[&str]| {
        let measured = Place::new().run([&measure[..], more].concat()).expect(0);
        let measured: Value = serde_json::from_slice(&measured.stdout).unwrap();
        let digest = measured["launch_digests"]["tdx"][0].as_str().unwrap();
        digest.to_owned()
    };
    // What a real machine measures is not what one measures whose host plays TDX.
    let (real, played) = (measure(&[]), measure(&["--simulate"]));
    assert_ne!(real, played);
    let module = place.file("app.wat", program("", ""));
    let module = module.to_str().unwrap();
    let policy = |measurement: &str| {
        let registers = "00".repeat(48);
        place.file(
            "policy.toml",
            format!(
                "name = \"tdx\"\ntechnologies = [\"tdx\"]\nplatforms = [\"tdx\"]\n\
                 simulation = \"allow\"\nmeasurements = [\"{measurement}\"]\n\
                 [tdx]\nrequired_flags = [\"sept_ve_disable\"]\n\
                 values.rtmr0 = [\"{registers}\"]\n"
            ),
        )
    };
    let run = |measurement: &str| {
        let policy = policy(measurement);
        let policy = policy.to_str().unwrap();
        place.run(["run", "--simulate", "--policy", policy, module])
    };
    run(&played).expect(0);
    run(&real).expect(121);
}

#[test]
fn who_vouches_for_a_machine_shows_in_its_report() {
    let Some(place) = Place::with_machines("snp") else {
        return;
    };
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let key = path("id.pem");
    let generate = ["key", "generate", "--platform", "snp", &key];
    let generated = place.run(generate).expect(0);
    let digest = generated.text().trim();
    // An identity is for one size of memory, so that no other test meets it.
    let memory = ["--keep-memory", "333MiB"];
    let identity = path("keep.identity");
    let identify = [
        "key",
        "identify",
        &key,
        "--simulate",
        "--json",
        "-o",
        &identity,
    ];
    let signed = Place::new()
        .run([&identify[..], &memory].concat())
        .expect(0);
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    assert_eq!(signed["id_key_digest"], digest);
    let module = place.file("app.wat", program("", ""));
    let policy = place.file(
        "policy.toml",
        format!(
            "name = \"signed\"\nplatforms = [\"snp\"]\nsimulation = \"allow\"\n\
             [snp]\nvalues.id_key_digest = [\"{}\"]\n",
            digest
        ),
    );
    let run = || {
        let policy = ["--policy", policy.to_str().unwrap()];
        let line = [&["run", "--simulate"][..], &policy, &memory];
        let module = [module.to_str().unwrap()];
        place.run([&line.concat()[..], &module].concat())
    };
    run().expect(121);
    let name = format!("{}.identity", signed["measurement"].as_str().unwrap());
    let stored = shared().join("state/enarx/snp").join(name);
    std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
    std::fs::copy(&identity, &stored).unwrap();
    run().expect(0);
    // One that the firmware would refuse is not even tried.
    let mut damaged = std::fs::read(&stored).unwrap();
    damaged[0x54] ^= 1;
    std::fs::write(&stored, damaged).unwrap();
    let refused = run();
    std::fs::remove_file(&stored).unwrap();
    refused.expect(125).says("not signed by the key");
}
