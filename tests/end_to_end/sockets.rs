//! Programs that listen, and who permits it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::harness::Place;

/// A deployment of the example `web-service` that goes on until it is dropped.
struct Service {
    command: Child,
    port: u16,
    certificate: PathBuf,
}

impl Service {
    /// Starts it on a free port, with `arguments` of the command.
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let folder = service(place);
        let certificate = place.path().join("keep.pem");
        let mut command = place
            .enarx(arguments)
            .arg("--save-certificate")
            .arg(&certificate)
            .arg(folder)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(command.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let port = loop {
            let line = lines.next().unwrap_or_else(|| panic!("{said}")).unwrap();
            if let Some((_, port)) = line.split_once("web listens on 127.0.0.1:") {
                break port.trim().parse().unwrap();
            }
            said.push_str(&line);
            said.push('\n');
        };
        // It must not stop for want of a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            command,
            port,
            certificate,
        }
    }

    /// What `curl` says, which must succeed or not.
    fn curl(&self, arguments: &[&str]) -> Result<String, Option<i32>> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(arguments)
            .arg(format!("https://localhost:{}/", self.port))
            .stderr(Stdio::inherit())
            .output()
            .expect("this test needs curl");
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(output.status.code()),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

/// A copy of the example that takes any free port.
fn service(place: &Place) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web-service");
    let read = |name| std::fs::read_to_string(example.join(name)).unwrap();
    place.file("service/service.wat", read("service.wat"));
    let configuration = read("Enarx.toml").replace("port = 8443", "port = 0");
    let path = place.file("service/Enarx.toml", configuration);
    path.parent().unwrap().to_owned()
}

#[test]
fn a_web_service_answers_whoever_trusts_its_certificate() {
    let place = Place::new();
    let service = Service::start(&place, &["run", "--simulate"]);
    let trust = ["--cacert", service.certificate.to_str().unwrap()];
    for number in 1..=3 {
        let answer = service.curl(&trust).unwrap();
        assert_eq!(
            answer,
            format!("Hello from a Keep! This is answer {number:06}\n")
        );
    }
    // curl(1): 60, the peer's certificate cannot be authenticated.
    assert_eq!(service.curl(&[]), Err(Some(60)));
    assert!(service.curl(&trust).unwrap().ends_with("000004\n"));
}

#[test]
fn the_hosts_operator_decides_whether_keeps_have_a_network() {
    let place = Place::new();
    let careful = place.host(&[]);
    let folder = service(&place);
    let refused = place
        .run([
            "deploy",
            "--simulate",
            "--to",
            careful.url.as_str(),
            folder.to_str().unwrap(),
        ])
        .says("enarx host serve --network");
    assert_ne!(refused.status, 0);
    assert!(careful.keeps().is_empty());

    let permitting = place.host(&["--network"]);
    let service = Service::start(
        &place,
        &["deploy", "--simulate", "--to", permitting.url.as_str()],
    );
    let trust = ["--cacert", service.certificate.to_str().unwrap()];
    assert!(service.curl(&trust).unwrap().ends_with("000001\n"));
}
