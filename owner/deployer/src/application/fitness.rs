//! Whether a Keep can run a program as it is configured: known before anything starts.

use enarx_owner_compiler::{Interface, InterfaceError, ProgramKind};
use enarx_wire_package::EntryKind;
use enarx_wire_target::interfaces::{offers_function, offers_interface, offers_preview3_interface};

use super::{Application, DataFile};

impl Application {
    /// Checks that the program's imports exist in a Keep, and that its world is one for which
    /// it is configured. Gives what its owner should know although it can run.
    ///
    /// # Errors
    ///
    /// [`Unfit`] names what is missing, and the remedy.
    pub fn check_program(&self) -> Result<Vec<Notice>, Unfit> {
        let interface = self.program.interface()?;
        match interface.kind {
            ProgramKind::Module => self.check_module(&interface),
            ProgramKind::Component => self.check_component(&interface),
        }
    }

    fn check_module(&self, interface: &Interface) -> Result<Vec<Notice>, Unfit> {
        if self.http.is_some() {
            return Err(Unfit::ModuleTable("http"));
        }
        if self.network.is_some() {
            return Err(Unfit::ModuleTable("network"));
        }
        if !self.config.is_empty() {
            return Err(Unfit::ModuleTable("config"));
        }
        if self.preview3 {
            return Err(Unfit::ModuleTable("wasi"));
        }
        let imports = interface.imports.iter();
        let missing: Vec<_> = imports
            .filter(|(module, name)| !offers_function(module, name))
            .map(|(module, name)| format!("{module}::{name}"))
            .collect();
        if !missing.is_empty() {
            return Err(Unfit::missing(missing));
        }
        if !interface.exports.iter().any(|name| name == "_start") {
            return Err(Unfit::NoStart);
        }
        let mut imports = interface.imports.iter();
        let keys = imports.any(|(module, name)| module == "enarx_keep" && name == "derive_key");
        Ok(self.notice_of_keys(keys).into_iter().collect())
    }

    fn check_component(&self, interface: &Interface) -> Result<Vec<Notice>, Unfit> {
        let mut sockets = self.descriptors.iter().filter(|one| one.kind.is_socket());
        if let Some(socket) = sockets.next() {
            return Err(Unfit::Descriptor(socket.name.clone()));
        }
        let names = || interface.imports.iter().map(|(name, _)| name.as_str());
        if !self.preview3
            && let Some(name) = (names().filter(|name| offers_preview3_interface(name)))
                .chain(interface.exports.iter().map(String::as_str))
                .find(|name| is_preview3(name))
        {
            return Err(Unfit::Preview3(name.to_owned()));
        }
        let missing: Vec<_> = names()
            .filter(|name| !offers_interface(name) && !offers_preview3_interface(name))
            .map(str::to_owned)
            .collect();
        if !missing.is_empty() {
            return Err(Unfit::missing(missing));
        }
        let exports = |wanted: &str| {
            let mut names = interface.exports.iter();
            names.any(|name| name.split('@').next() == Some(wanted))
        };
        let handles = exports(HANDLER) || exports(PREVIEW3_HANDLER);
        match (handles, exports(COMMAND), self.http.is_some()) {
            (true, _, true) | (_, true, false) => {}
            (false, _, true) => return Err(Unfit::HandlesNothing),
            (true, false, false) => return Err(Unfit::Unserved),
            (false, false, false) => return Err(Unfit::NoWorld),
        }
        // Toolchains import more than programs use, so this is for the owner to judge.
        let mut notices = Vec::new();
        let imports = |wanted: &str| names().any(|name| name.starts_with(wanted));
        if self.network.is_none() {
            let sockets = ["tcp@", "udp@", "types@"].map(|name| format!("wasi:sockets/{name}"));
            if sockets.iter().any(|name| imports(name)) {
                notices.push(Notice::Sockets);
            }
            if imports("wasi:http/outgoing-handler@") || imports("wasi:http/client@") {
                notices.push(Notice::Requests);
            }
        }
        let authorities = |file: &DataFile| file.kind == EntryKind::TlsAuthorities;
        if imports("wasi:tls/") && !self.files.iter().any(authorities) {
            notices.push(Notice::Authorities);
        }
        notices.extend(self.notice_of_keys(imports("enarx:keep/keys@")));
        Ok(notices)
    }

    /// What to say of a program that `imports` keys.
    fn notice_of_keys(&self, imports: bool) -> Option<Notice> {
        (imports && self.secret.is_none()).then_some(Notice::Keys)
    }
}

/// Whether the interface `name` is one of WASI 0.3.
fn is_preview3(name: &str) -> bool {
    name.starts_with("wasi:") && name.contains("@0.3.")
}

const HANDLER: &str = "wasi:http/incoming-handler";
const PREVIEW3_HANDLER: &str = "wasi:http/handler";
const COMMAND: &str = "wasi:cli/run";

/// What an owner should know about a program that can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// It imports sockets, and may use none.
    #[error(
        "the program imports wasi:sockets, and may use none: what it shall reach goes into [network] of Enarx.toml, which may be empty"
    )]
    Sockets,
    /// It imports requests, and may make none.
    #[error(
        "the program imports requests of wasi:http, and may make none: what it shall reach goes into [network] of Enarx.toml, which may be empty"
    )]
    Requests,
    /// It imports TLS, and there is nobody whom it could trust.
    #[error(
        "the program imports wasi:tls, and trusts no server: whose certificates it shall trust goes into `authorities` under [tls] of Enarx.toml"
    )]
    Authorities,
    /// It imports keys, and there is nothing that they could come from.
    #[error(
        "the program imports keys that stay, and gets none: they come from the key of a package, or from the file that --secret names"
    )]
    Keys,
}

/// Why a program cannot run in a Keep as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is no program.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// It imports what Keeps do not have.
    #[error("it imports what Keeps do not have: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// It is of WASI 0.3, which is not allowed; with an interface that shows it.
    #[error(
        "it is of WASI 0.3 ({0}), which is experimental and has to be allowed: `preview3 = true` under [wasi] of Enarx.toml"
    )]
    Preview3(String),
    /// A module that is no program.
    #[error("the module is no WASI program: it has no function _start")]
    NoStart,
    /// A component of a world that Keeps do not have.
    #[error(
        "the component exports neither wasi:cli/run nor wasi:http/incoming-handler (in WASI 0.3 wasi:http/handler), so there is nothing to run"
    )]
    NoWorld,
    /// A component that handles requests, which nobody serves.
    #[error(
        "the component handles HTTP requests: say where they come in, in [http] of Enarx.toml (an empty table is port 443 with TLS)"
    )]
    Unserved,
    /// A component that handles no requests, and is to be served.
    #[error(
        "[http] of Enarx.toml is for components that handle HTTP requests, and this one does not export wasi:http/incoming-handler (in WASI 0.3 wasi:http/handler)"
    )]
    HandlesNothing,
    /// A table that is for components alone.
    #[error(
        "[{0}] of Enarx.toml is for components, and this is a module; modules listen and connect through [[files]], and read what is mounted"
    )]
    ModuleTable(&'static str),
    /// A descriptor that is for modules alone.
    #[error(
        "descriptor {0:?} is a socket, and only modules have those; components use [network] and [http] of Enarx.toml"
    )]
    Descriptor(String),
}

impl Unfit {
    /// The first of many imports say enough.
    fn missing(mut names: Vec<String>) -> Self {
        const SHOWN: usize = 20;
        names.dedup();
        if names.len() > SHOWN {
            let more = names.len() - SHOWN;
            names.truncate(SHOWN);
            names.push(format!("and {more} more"));
        }
        Self::Missing(names)
    }
}

#[cfg(test)]
mod tests {
    use enarx_wire_package::{
        Descriptor, DescriptorKind, Endpoint, HttpServer, NetworkRules, Protocol,
    };
    use enarx_wire_provision::OwnerSecret;

    use super::*;
    use crate::application::{LoadOptions, tests::folder};

    fn application(program: &str) -> Application {
        let folder = folder(&[("main.wat", program.as_bytes())]);
        Application::load(folder.path(), LoadOptions::default()).unwrap()
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "::".into(),
            port: 443,
            protocol: Protocol::Tls,
        }
    }

    fn refusal(application: &Application) -> String {
        application.check_program().unwrap_err().to_string()
    }

    const HANDLER: &str = r#"(component
        (import "wasi:http/types@0.2.3" (instance $i))
        (import "wasi:sockets/tcp@0.2.3" (instance))
        (import "wasi:http/outgoing-handler@0.2.3" (instance))
        (export "wasi:http/incoming-handler@0.2.3" (instance $i)))"#;

    #[test]
    fn missing_imports_are_named() {
        let module = application(
            r#"(module (import "env" "f" (func)) (import "wasi_snapshot_preview1" "fd_write" (func))
                (import "env" "g" (func)) (func (export "_start")))"#,
        );
        assert!(refusal(&module).ends_with("Keeps do not have: env::f, env::g"));
        let component = application(
            r#"(component (import "wasi:gpu/gpu@0.1.0" (instance)) (import "x" (func)))"#,
        );
        assert!(refusal(&component).ends_with("Keeps do not have: wasi:gpu/gpu@0.1.0, x"));
    }

    #[test]
    fn preview3_has_to_be_allowed() {
        for program in [
            r#"(component (import "wasi:cli/stdout@0.3.0" (instance $i))
                (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            r#"(component (import "wasi:cli/exit@0.2.0" (instance $i))
                (export "wasi:cli/run@0.3.0" (instance $i)))"#,
        ] {
            let mut application = application(program);
            assert!(refusal(&application).contains("`preview3 = true` under [wasi]"));
            application.preview3 = true;
            assert!(application.check_program().unwrap().is_empty());
        }
        let mut sender = application(
            r#"(component (import "wasi:sockets/types@0.3.0" (instance $i))
                (export "wasi:cli/run@0.3.0" (instance $i)))"#,
        );
        sender.preview3 = true;
        assert_eq!(sender.check_program().unwrap(), [Notice::Sockets]);
        let mut module = application(r#"(module (func (export "_start")))"#);
        module.preview3 = true;
        assert!(refusal(&module).contains("[wasi] of Enarx.toml is for components"));
        let unknown = r#"(component (import "wasi:gpu/gpu@0.3.0" (instance)))"#;
        assert!(refusal(&application(unknown)).ends_with("do not have: wasi:gpu/gpu@0.3.0"));
    }

    #[test]
    fn programs_that_trust_no_server_are_noted() {
        let component = r#"(component (import "wasi:tls/types@0.2.0-draft" (instance $i))
            (export "wasi:cli/run@0.2.0" (instance $i)))"#;
        let check = |tls: &str| {
            let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
            let folder = folder(&[
                ("main.wat", component.as_bytes()),
                ("roots.pem", pem.as_bytes()),
                ("Enarx.toml", tls.as_bytes()),
            ]);
            let application = Application::load(folder.path(), LoadOptions::default());
            application.unwrap().check_program().unwrap()
        };
        assert_eq!(check(""), [Notice::Authorities]);
        assert!(check("[tls]\nauthorities = \"roots.pem\"").is_empty());
    }

    #[test]
    fn programs_that_get_no_keys_are_noted() {
        for program in [
            r#"(module (import "enarx_keep" "derive_key" (func)) (func (export "_start")))"#,
            r#"(component (import "enarx:keep/keys@0.1.0" (instance $i))
                (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        ] {
            let mut application = application(program);
            assert_eq!(application.check_program().unwrap(), [Notice::Keys]);
            application.secret = Some(OwnerSecret::new([1; 32]));
            assert!(application.check_program().unwrap().is_empty());
        }
    }

    #[test]
    fn worlds_must_fit_the_configuration() {
        assert!(refusal(&application("(module)")).contains("_start"));
        assert!(refusal(&application("(component)")).contains("nothing to run"));
        let mut handler = application(HANDLER);
        assert!(refusal(&handler).contains("[http] of Enarx.toml"));
        handler.http = Some(HttpServer {
            endpoint: endpoint(),
            requests: 1,
            request_milliseconds: 1,
        });
        assert_eq!(
            handler.check_program().unwrap(),
            [Notice::Sockets, Notice::Requests]
        );
        handler.network = Some(NetworkRules::default());
        assert!(handler.check_program().unwrap().is_empty());
        handler.descriptors.push(Descriptor {
            kind: DescriptorKind::Listen(endpoint()),
            name: "web".into(),
        });
        assert!(refusal(&handler).contains("only modules have those"));

        let mut service = application(
            r#"(component (import "wasi:http/types@0.3.0" (instance $i))
                (import "wasi:http/client@0.3.0" (instance))
                (export "wasi:http/handler@0.3.0" (instance $i)))"#,
        );
        service.http = handler.http.clone();
        assert!(refusal(&service).contains("`preview3 = true` under [wasi]"));
        service.preview3 = true;
        assert_eq!(service.check_program().unwrap(), [Notice::Requests]);
        service.http = None;
        assert!(refusal(&service).contains("[http] of Enarx.toml"));

        let mut module = application(r#"(module (func (export "_start")))"#);
        module.check_program().unwrap();
        module.network = Some(NetworkRules::default());
        assert!(refusal(&module).contains("[network] of Enarx.toml is for components"));
        let mut command = application(
            r#"(component (import "wasi:cli/exit@0.2.0" (instance $i))
                (export "wasi:cli/run@0.2.0" (instance $i)))"#,
        );
        assert!(command.check_program().unwrap().is_empty());
        command.http = handler.http.clone();
        assert!(refusal(&command).contains("does not export wasi:http/incoming-handler"));
    }
}
