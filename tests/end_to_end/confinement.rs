//! Machines that permit no namespaces: nothing confines a Keep there but the filter.

use crate::harness::{Finished, Place, printing};

#[test]
fn a_host_without_namespaces_starts_no_keep_unless_it_was_told_to() {
    let place = Place::new();
    let module = place.file("hi.wat", printing("hi"));
    let deploy = |url: &str| {
        place.run([
            "deploy",
            "--to",
            url,
            "--simulate",
            module.to_str().unwrap(),
        ])
    };

    let careful = place.host_without_namespaces(&[]);
    let refused = deploy(&careful.url).says("--without-namespaces");
    assert_ne!(refused.status, 0);
    assert!(refused.stdout.is_empty());
    assert!(careful.keeps().is_empty());

    let told = place.host_without_namespaces(&["--without-namespaces"]);
    assert_eq!(deploy(&told.url).expect(0).text(), "hi");
}

#[test]
fn a_command_without_namespaces_leaves_no_directory() {
    let place = Place::new();
    let module = place.file("hi.wat", printing("hi"));
    let run = ["run", "--backend", "process", module.to_str().unwrap()];
    let output = place.enarx_without_namespaces(run).output().unwrap();
    assert_eq!(Finished::from(output).expect(0).text(), "hi");
    // Another test's Keep may have a directory at the moment.
    let left = || {
        let mut names = std::fs::read_dir("/dev/shm").unwrap();
        names.any(|entry| {
            let name = entry.unwrap().file_name();
            name.to_string_lossy().starts_with("enarx-keep-")
        })
    };
    for _ in 0..500 {
        if !left() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("a directory is left");
}
