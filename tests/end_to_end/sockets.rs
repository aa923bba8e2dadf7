//! Programs that listen, and who permits it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::harness::{Place, in_every_keep, program};

in_every_keep!(
    a_web_service_answers_whoever_trusts_its_certificate,
    a_component_that_handles_requests_is_served_in_both_versions_of_http,
    the_hosts_operator_decides_whether_keeps_have_a_network,
    hundreds_of_connections_are_served_at_once,
    a_program_connects_to_a_server,
    a_component_sends_where_its_package_allows,
    a_component_asks_another_keep_whose_certificate_it_trusts,
);

/// A deployment of an application that listens. It goes on until it is dropped.
struct Service {
    command: Child,
    port: u16,
    certificate: PathBuf,
}

impl Service {
    /// Starts the application in `folder` with `arguments` of the command.
    fn start(place: &Place, arguments: &[&str], folder: &Path) -> Self {
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
            if let Some((_, port)) = line.split_once(" listens on 127.0.0.1:") {
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
        self.curl_path("/", arguments)
    }

    fn curl_path(&self, path: &str, arguments: &[&str]) -> Result<String, Option<i32>> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(arguments)
            .arg(format!("https://localhost:{}{path}", self.port))
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
fn web_service(place: &Place) -> PathBuf {
    copy_of(place, "web-service")
}

fn copy_of(place: &Place, example: &str) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(example);
    let read = |name| std::fs::read_to_string(example.join(name)).unwrap();
    place.file("service/service.wat", read("service.wat"));
    let configuration = read("Enarx.toml").replace("port = 8443", "port = 0");
    let path = place.file("service/Enarx.toml", configuration);
    path.parent().unwrap().to_owned()
}

fn a_web_service_answers_whoever_trusts_its_certificate(place: &Place) {
    let service = Service::start(place, &["run", "--simulate"], &web_service(place));
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

fn a_component_that_handles_requests_is_served_in_both_versions_of_http(place: &Place) {
    let folder = copy_of(place, "http-service");
    let service = Service::start(place, &["run", "--simulate"], &folder);
    let trust = ["--cacert", service.certificate.to_str().unwrap()];
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let format = ["--write-out", "HTTP/%{http_version}"];
        let answer = service.curl(&[&trust[..], &format, &[version]].concat());
        let expected = format!("Hello from a component in a Keep!\nHTTP/{number}");
        assert_eq!(answer, Ok(expected));
    }
    assert_eq!(service.curl(&[]), Err(Some(60)));
}

fn the_hosts_operator_decides_whether_keeps_have_a_network(place: &Place) {
    let careful = place.host(&[]);
    let folder = web_service(place);
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
        place,
        &["deploy", "--simulate", "--to", permitting.url.as_str()],
        &folder,
    );
    let trust = ["--cacert", service.certificate.to_str().unwrap()];
    assert!(service.curl(&trust).unwrap().ends_with("000001\n"));
}

fn hundreds_of_connections_are_served_at_once(place: &Place) {
    const CONNECTIONS: u32 = 300;
    place.file(
        "server/main.wat",
        include_str!("../programs/polling_server.wat"),
    );
    let configuration = format!(
        "{STANDARD_STREAMS}
         [[files]]
         kind = \"listen\"
         name = \"web\"
         addr = \"127.0.0.1\"
         port = 0
         prot = \"tcp\""
    );
    place.file("server/Enarx.toml", configuration);
    let mut service = Service::start(place, &["run", "--simulate"], &place.path().join("server"));
    let connect = |_| TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    for round in 0..2 {
        let message = |number: usize| (number * 3 + round).to_le_bytes();
        for (number, connection) in connections.iter_mut().enumerate() {
            connection.write_all(&message(number)).unwrap();
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            let mut received = [0; 8];
            connection.read_exact(&mut received).unwrap();
            assert_eq!(received, message(number));
        }
    }
    drop(connections);
    assert!(service.command.wait().unwrap().success());
}

fn a_program_connects_to_a_server(place: &Place) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"from outside").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).unwrap();
        received
    });
    // Descriptor 3 is the connection.
    let body = "(local $count i32)
        (call $write (i32.const 3) (i32.const 1024) (i32.const 11))
        (loop $again
          (i32.store (i32.const 0) (i32.const 2048))
          (i32.store (i32.const 4) (i32.const 4096))
          (if (call $fd_read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8))
            (then unreachable))
          (local.set $count (i32.load (i32.const 8)))
          (call $write (i32.const 1) (i32.const 2048) (local.get $count))
          (br_if $again (local.get $count)))";
    place.file("client/main.wat", program("from inside", body));
    let configuration = format!(
        "{STANDARD_STREAMS}
         [[files]]
         kind = \"connect\"
         host = \"localhost\"
         port = {}
         prot = \"tcp\"",
        address.port()
    );
    place.file("client/Enarx.toml", configuration);
    let finished = place.run(["run", "--simulate", "client"]).expect(0);
    assert_eq!(finished.text(), "from outside");
    assert_eq!(peer.join().unwrap(), "from inside");
}

fn a_component_sends_where_its_package_allows(place: &Place) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let component = include_str!("../../keep/runtime/tests/keep/components/sockets.wat");
    place.file("sender/main.wat", component);
    let run = |rules: &str| {
        let configuration = format!(
            "[network]
             connect = [{rules}]
             [config]
             name = \"localhost\"
             port = \"{port}\""
        );
        place.file("sender/Enarx.toml", configuration);
        place.run(["run", "--simulate", "sender"])
    };
    run(&format!(
        "\"tcp://localhost:{port}\", \"udp://localhost:{port}\""
    ))
    .expect(0);
    let mut received = String::new();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_string(&mut received).unwrap();
    let mut buffer = [0; 16];
    let size = datagrams.recv(&mut buffer).unwrap();
    assert_eq!((received.as_str(), &buffer[..size]), ("ping", &b"ping"[..]));

    run(&format!("\"udp://localhost:{port}\"")).expect(1);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

fn a_component_asks_another_keep_whose_certificate_it_trusts(place: &Place) {
    let asked = Service::start(
        place,
        &["run", "--simulate"],
        &copy_of(place, "http-service"),
    );
    let certificate = std::fs::read(&asked.certificate).unwrap();
    place.file("asking/authorities.pem", certificate);
    let error_code = include_str!("../../keep/runtime/tests/keep/components/error-code.wat");
    let preview2 = include_str!("../../keep/runtime/tests/keep/components/http.wat");
    let preview3 = include_str!("../../keep/runtime/tests/keep/components/service.wat");
    for (component, is_preview3) in [(preview2, false), (preview3, true)] {
        let component = component.replace(";; error-code.wat", error_code);
        place.file("asking/main.wat", component);
        let configuration = format!(
            "[http]
             addr = \"127.0.0.1\"
             port = 0
             [network]
             connect = [\"https://localhost:{port}\"]
             [tls]
             authorities = \"authorities.pem\"
             [wasi]
             preview3 = {is_preview3}
             [config]
             authority = \"localhost:{port}\"",
            port = asked.port
        );
        let path = place.file("asking/Enarx.toml", configuration);
        let asking = Service::start(place, &["run", "--simulate"], path.parent().unwrap());
        let trust = ["--cacert", asking.certificate.to_str().unwrap()];
        assert_eq!(asking.curl_path("/fetch", &trust), Ok("200".into()));
    }
}

const STANDARD_STREAMS: &str = "
    [[files]]
    kind = \"stdin\"
    [[files]]
    kind = \"stdout\"
    [[files]]
    kind = \"stderr\"";
