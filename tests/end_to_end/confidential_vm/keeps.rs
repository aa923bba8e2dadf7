//! Applications in a confidential VM, from the outside.

use std::path::Path;

use serde_json::Value;

use super::{
    configfs::{Configfs, Driver},
    intel_service::IntelService,
    simulated::{MEASUREMENT, RTMRS, machine, sev_guest, tdx_guest},
};
use crate::harness::{Finished, Place, printing};

/// Runs a program that prints a word under a policy with these lines.
fn run(place: &Place, configfs: &Configfs, policy: &str, arguments: &[&str]) -> Finished {
    run_where(place, configfs, "", policy, arguments)
}

fn run_where(
    place: &Place,
    configfs: &Configfs,
    forbid: &str,
    policy: &str,
    arguments: &[&str],
) -> Finished {
    let module = place.file("app.wat", printing("inside"));
    let text =
        format!("name = \"the VM\"\nplatforms = [\"cvm\"]\nsimulation = \"allow\"\n{policy}\n");
    let policy = place.file("policy.toml", text);
    let common = ["run", "--backend", "cvm", "--policy"].map(Path::new);
    let arguments = arguments.iter().map(Path::new);
    let arguments = common
        .into_iter()
        .chain([policy.as_path()])
        .chain(arguments)
        .chain([module.as_path()]);
    let mut command = place.enarx_in_confidential_vm(configfs.path(), forbid, arguments);
    let finished = Finished::from(command.output().unwrap());
    assert_eq!(configfs.reports(), 0, "nothing is left behind");
    finished
}

fn measured() -> String {
    format!("measurements = [\"{}\"]", hex::encode(MEASUREMENT))
}

#[test]
fn a_keep_is_attested_by_the_vm_and_the_owner_is_told_what_that_is_worth() {
    let place = Place::new();
    let configfs = Configfs::mount(Some(sev_guest()));
    run(&place, &configfs, &measured(), &[])
        .expect(0)
        .prints("inside")
        .says("the confidential VM around this Keep is trusted as a whole")
        .says("the evidence is simulated");
    // One report before the Keep is started, and the Keep's own.
    assert_eq!(configfs.made(), 2);
}

#[test]
fn the_policy_must_name_the_vm() {
    let place = Place::new();
    let configfs = Configfs::mount(Some(sev_guest()));
    for policy in [
        "",
        "measurements = [\"any\"]",
        "measurements = [\"keep-image\", \"c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5\"]",
    ] {
        run(&place, &configfs, policy, &[])
            .expect(121)
            .says("confidential VM")
            .says("list the VM's launch measurement in measurements");
    }
}

/// Above the kernel's level something else runs, which the measurement may not cover.
#[test]
fn the_level_of_the_kernel_is_the_policys_matter() {
    let place = Place::new();
    let configfs = Configfs::mount(Some(Driver {
        privilege_floor: Some(2),
        ..sev_guest()
    }));
    run(&place, &configfs, &measured(), &[])
        .expect(121)
        .says("privilege level");
    let policy = measured() + "\nmaximum_vmpl = 2";
    run(&place, &configfs, &policy, &[]).expect(0);
}

#[test]
fn quotes_are_verified_with_what_is_published() {
    let place = Place::new();
    let configfs = Configfs::mount(Some(tdx_guest()));
    let registers = |first: usize, second: usize| {
        format!(
            "{}\ntdx.values.rtmr1 = [\"{}\"]\ntdx.values.rtmr2 = [\"{}\"]",
            measured(),
            hex::encode(RTMRS[first]),
            hex::encode(RTMRS[second])
        )
    };
    // Nothing is asked for without a word, and without it nothing can be said.
    run(&place, &configfs, &registers(1, 2), &[]).expect(120);

    let service = IntelService::start(machine().endorsements());
    let url = service.url();
    let fetch = [
        "--fetch",
        "--intel-service",
        &url,
        "--intel-root-service",
        &url,
    ];
    run(&place, &configfs, &registers(1, 2), &fetch)
        .expect(0)
        .prints("inside");
    // The firmware alone says nothing of the kernel that it has started.
    run(&place, &configfs, &measured(), &fetch)
        .expect(121)
        .says("rtmr1");
    run(&place, &configfs, &registers(1, 3), &fetch)
        .expect(121)
        .says("rtmr2");
}

#[test]
fn what_a_machine_lacks_is_named() {
    let place = Place::new();
    let module = place.file("app.wat", printing("inside"));
    let module = module.to_str().unwrap();
    if !Path::new("/sys/kernel/config/tsm/report").exists() {
        place
            .run(["run", "--backend", "cvm", module])
            .expect(125)
            .says("/sys/kernel/config/tsm/report is not there");
    }
    place
        .run(["run", "--backend", "cvm", "--simulate", module])
        .expect(125)
        .says("cannot simulate");
    let configfs = Configfs::mount(None);
    run(&place, &configfs, &measured(), &[])
        .expect(125)
        .says("modprobe sev-guest");
    let configfs = Configfs::mount(Some(sev_guest()));
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces &&";
    run_where(&place, &configfs, forbid, &measured(), &[])
        .expect(125)
        .says("must be confined");
}

#[test]
fn the_platform_says_what_it_finds() {
    let place = Place::new();
    let look = |driver| {
        let configfs = Configfs::mount(driver);
        let arguments = ["platform", "--json"];
        let mut command = place.enarx_in_confidential_vm(configfs.path(), "", arguments);
        let found = Finished::from(command.output().unwrap()).expect(0);
        assert_eq!(configfs.reports(), 0);
        let all: Value = serde_json::from_slice(&found.stdout).unwrap();
        let mut all = all.as_array().unwrap().iter();
        all.find(|one| one["backend"] == "cvm").unwrap().clone()
    };
    let found = look(Some(tdx_guest()));
    assert_eq!(found["works"], true, "{found}");
    let detail = &found["checks"][1]["detail"];
    assert_eq!(detail, "tdx_guest makes TDX quotes");
    let found = look(None);
    assert_eq!(found["works"], false);
    assert_eq!(found["checks"][0]["found"], true);
    assert_eq!(found["checks"][1]["found"], false);
    let proof = found["hardware_proof"].as_str().unwrap();
    assert!(proof.contains("has not run on hardware"), "{proof}");
}
