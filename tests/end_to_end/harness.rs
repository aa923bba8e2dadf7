//! Running the command, and a host beside it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
};

use tempfile::TempDir;

/// A directory of its own for files, and a state and a cache that all tests share:
/// making a simulated secure processor takes seconds.
pub struct Place {
    directory: TempDir,
    /// What is named wherever a simulation is asked for.
    backend: Option<&'static str>,
}

/// Makes tests of functions that take a [`Place`]: one for each kind of Keep that can be
/// simulated.
macro_rules! in_every_keep {
    ($($test:ident),* $(,)?) => {
        mod process {
            $(#[test] fn $test() { super::$test(&super::Place::new()); })*
        }
        mod sgx {
            $(#[test] fn $test() { super::$test(&super::Place::with_backend("sgx")); })*
        }
        mod kvm {
            $(#[test] fn $test() {
                if let Some(place) = super::Place::with_machines("kvm") {
                    super::$test(&place);
                }
            })*
        }
        mod snp {
            $(#[test] fn $test() {
                if let Some(place) = super::Place::with_machines("snp") {
                    super::$test(&place);
                }
            })*
        }
    };
}
pub(crate) use in_every_keep;

impl Place {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            backend: None,
        }
    }

    /// A place whose simulations are all of `backend`.
    pub fn with_backend(backend: &'static str) -> Self {
        Self {
            backend: Some(backend),
            ..Self::new()
        }
    }

    /// A place whose simulations are all virtual machines of `backend`; none where there is no KVM,
    /// which is said.
    pub fn with_machines(backend: &'static str) -> Option<Self> {
        match std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
        {
            Ok(_) => Some(Self::with_backend(backend)),
            Err(error) => {
                println!("not tried in a virtual machine: /dev/kvm: {error}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, and gives its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The command with a cache, a state and an environment of the tests' own.
    pub fn enarx<I: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> Command {
        let mut command = Command::new(ENARX);
        self.furnish(&mut command);
        for argument in arguments {
            command.arg(&argument);
            if argument.as_ref() == "--simulate"
                && let Some(backend) = self.backend
            {
                command.args(["--backend", backend]);
            }
        }
        command
    }

    /// [`Place::enarx`] where no namespaces can be made, as in many containers.
    pub fn enarx_without_namespaces<I: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> Command {
        let forbid = r#"echo 0 > /proc/sys/user/max_user_namespaces && exec "$@""#;
        let mut command = Command::new("unshare");
        self.furnish(&mut command)
            .args(["--user", "--map-root-user", "sh", "-c", forbid, "sh", ENARX])
            .args(arguments);
        command
    }

    /// The command where `reports` is what the kernel has as its interface for reports of a
    /// confidential VM, with a cache of its own. `forbid` is shell text that runs before.
    pub fn enarx_in_confidential_vm<I: AsRef<std::ffi::OsStr>>(
        &self,
        reports: &Path,
        forbid: &str,
        arguments: impl IntoIterator<Item = I>,
    ) -> Command {
        let script = format!(
            r#"mount -t tmpfs none /sys/kernel && mkdir -p /sys/kernel/config/tsm/report &&
            mount --bind "$1" /sys/kernel/config/tsm/report && {forbid} shift && exec "$@""#
        );
        let mut command = Command::new("unshare");
        self.furnish(&mut command)
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                &script,
                "sh",
            ])
            .arg(reports)
            .arg(ENARX)
            .args(arguments);
        command
    }

    fn furnish<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_CACHE_HOME", shared().join("cache"))
            .env("XDG_STATE_HOME", shared().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    /// Runs the command to its end.
    pub fn run<I: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
    ) -> Finished {
        Finished::from(self.enarx(arguments).output().unwrap())
    }

    /// Runs the command to its end with bytes on its standard input.
    pub fn run_with_input<I: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = I>,
        input: &[u8],
    ) -> Finished {
        let mut command = self.enarx(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A program that ends without reading breaks the pipe, which is no error.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Finished::from(output)
    }

    /// Starts a host on a free port.
    pub fn host(&self, arguments: &[&str]) -> Host {
        Host::start(self.enarx(SERVE).args(arguments))
    }

    /// [`Place::host`] where no namespaces can be made.
    pub fn host_without_namespaces(&self, arguments: &[&str]) -> Host {
        Host::start(self.enarx_without_namespaces(SERVE).args(arguments))
    }
}

const ENARX: &str = env!("CARGO_BIN_EXE_enarx");

const SERVE: [&str; 6] = [
    "host",
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--log-format",
    "json",
];

/// What a command left.
#[derive(Debug)]
pub struct Finished {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Panics with everything that was said unless the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            status,
            "\n--- stdout\n{}\n--- stderr\n{}",
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        self
    }

    /// Panics unless the result holds `words`.
    #[track_caller]
    pub fn prints(self, words: &str) -> Self {
        let text = self.text();
        assert!(text.contains(words), "{words:?} is not in\n{text}");
        self
    }

    /// Panics unless the words to the user hold `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} is not in\n{}",
            self.stderr
        );
        self
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A running host, ended in order when dropped.
pub struct Host {
    child: Child,
    pub url: String,
    log: Option<thread::JoinHandle<String>>,
}

impl Host {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the host ended");
            let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) else {
                continue;
            };
            if event["fields"]["message"] == "serving" {
                break event["fields"]["address"].as_str().unwrap().to_owned();
            }
        };
        let log = thread::spawn(move || {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            rest
        });
        Host {
            child,
            url: format!("http://{address}"),
            log: Some(log),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has the host end, and gives its log.
    pub fn end(mut self) -> String {
        self.terminate();
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }

    /// The peak of resident memory so far, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    /// The host's child processes.
    pub fn keeps(&self) -> Vec<u32> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads
            .flat_map(|thread| {
                let children = thread.unwrap().path().join("children");
                std::fs::read_to_string(children)
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(|id| id.parse().unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn terminate(&self) {
        let id = self.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.log.is_some() {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}

/// WebAssembly text with the WASI functions that the tests need. `body` is the
/// program's `_start`; `data` its memory from address 1024 on.
pub fn program(data: &str, body: &str) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "{data}")
  ;; Writes all bytes of [address, address + length) to a descriptor.
  (func $write (param $descriptor i32) (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $descriptor) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; Reads at most length bytes; gives how many.
  (func $read (param $address i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func (export "_start") {body}))"#
    )
}

/// A program that writes `text` to its standard output.
pub fn printing(text: &str) -> String {
    let length = text.len();
    let body = format!("(call $write (i32.const 1) (i32.const 1024) (i32.const {length}))");
    program(text, &body)
}

/// A program that writes each byte of its input back until the input ends.
pub fn echo() -> String {
    program(
        "",
        "(local $count i32)
         (loop $again
           (local.set $count (call $read (i32.const 2048) (i32.const 4096)))
           (if (local.get $count) (then
             (call $write (i32.const 1) (i32.const 2048) (local.get $count))
             (br $again))))",
    )
}

/// Where all tests have their cache and their state.
pub fn shared() -> &'static Path {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    SHARED.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    })
}
