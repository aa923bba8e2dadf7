//! Servers that run as child processes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, bail};

use crate::{environment::Environment, family, tls};

/// A server on this machine. It ends when it is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// A Keep with `program`, in WebAssembly's text format, which listens as `configuration` says: with
    /// port 0. It finds the certificate for TLS and its key as `certificate.pem` and `key.pem`.
    ///
    /// # Errors
    ///
    /// When it does not listen; with what the command said.
    pub fn keep(
        environment: &Environment,
        name: &str,
        configuration: &str,
        program: &str,
    ) -> anyhow::Result<Self> {
        let folder = environment.path(name);
        fs::create_dir(&folder)?;
        fs::write(folder.join("Enarx.toml"), configuration)?;
        fs::write(folder.join("main.wat"), program)?;
        fs::write(folder.join("certificate.pem"), tls::CERTIFICATE)?;
        fs::write(folder.join("key.pem"), tls::KEY)?;
        Self::start(&mut environment.enarx_run(&folder))
    }

    /// Starts a command that says on its standard error at which port of 127.0.0.1 it listens.
    ///
    /// # Errors
    ///
    /// When it ends before; with what it said.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a server")?;
        let output = child.stderr.take().context("the output was not a pipe")?;
        let mut lines = BufReader::new(output).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next().transpose()? else {
                let status = child.wait()?;
                bail!("a server did not start: {status}: {}", said.trim());
            };
            if let Some(address) = address_in(&line) {
                break address;
            }
            said.push_str(&line);
            said.push('\n');
        };
        // It must not stop for want of a reader.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The processor time that it has had so far, with all its processes, in seconds.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        family::processor_seconds(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or does now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that a line such as `Serving HTTP on http://127.0.0.1:8080/` names.
fn address_in(line: &str) -> Option<SocketAddr> {
    const HOST: &str = "127.0.0.1:";
    let (_, rest) = line.split_once(HOST)?;
    let end = rest.find(|character: char| !character.is_ascii_digit());
    let port = &rest[..end.unwrap_or(rest.len())];
    format!("{HOST}{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_servers_say() {
        for line in [
            "Serving HTTP on http://127.0.0.1:80/",
            "keep: web listens on 127.0.0.1:80",
        ] {
            assert_eq!(address_in(line), Some("127.0.0.1:80".parse().unwrap()));
        }
        assert_eq!(address_in("nothing yet"), None);
        assert_eq!(address_in("127.0.0.1:"), None);
    }
}
