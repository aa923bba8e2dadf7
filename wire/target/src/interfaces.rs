//! What programs may import from a Keep's runtime.
//!
//! The owner's side says what is missing before anything starts; a test of the runtime holds
//! it to these lists.

/// Modules that a core module may import from, with their functions.
pub const MODULES: [(&str, &[&str]); 2] = [
    (
        "wasi_snapshot_preview1",
        &[
            "args_get",
            "args_sizes_get",
            "clock_res_get",
            "clock_time_get",
            "environ_get",
            "environ_sizes_get",
            "fd_advise",
            "fd_allocate",
            "fd_close",
            "fd_datasync",
            "fd_fdstat_get",
            "fd_fdstat_set_flags",
            "fd_fdstat_set_rights",
            "fd_filestat_get",
            "fd_filestat_set_size",
            "fd_filestat_set_times",
            "fd_pread",
            "fd_prestat_dir_name",
            "fd_prestat_get",
            "fd_pwrite",
            "fd_read",
            "fd_readdir",
            "fd_renumber",
            "fd_seek",
            "fd_sync",
            "fd_tell",
            "fd_write",
            "path_create_directory",
            "path_filestat_get",
            "path_filestat_set_times",
            "path_link",
            "path_open",
            "path_readlink",
            "path_remove_directory",
            "path_rename",
            "path_symlink",
            "path_unlink_file",
            "poll_oneoff",
            "proc_exit",
            "proc_raise",
            "random_get",
            "sched_yield",
            "sock_accept",
            "sock_recv",
            "sock_send",
            "sock_shutdown",
        ],
    ),
    (
        "enarx_keep",
        &[
            "application_identity",
            "derive_key",
            "evidence",
            "program_digest",
            "runtime_digest",
        ],
    ),
];

/// Interfaces that a component may import, each with the version that there is. Another
/// version of WASI 0.2 does as well.
pub const INTERFACES: [(&str, &str); 36] = [
    ("enarx:keep/attestation", "0.1.0"),
    ("enarx:keep/keys", "0.1.0"),
    ("wasi:cli/environment", "0.2.12"),
    ("wasi:cli/exit", "0.2.12"),
    ("wasi:cli/stderr", "0.2.12"),
    ("wasi:cli/stdin", "0.2.12"),
    ("wasi:cli/stdout", "0.2.12"),
    ("wasi:cli/terminal-input", "0.2.12"),
    ("wasi:cli/terminal-output", "0.2.12"),
    ("wasi:cli/terminal-stderr", "0.2.12"),
    ("wasi:cli/terminal-stdin", "0.2.12"),
    ("wasi:cli/terminal-stdout", "0.2.12"),
    ("wasi:clocks/monotonic-clock", "0.2.12"),
    ("wasi:clocks/wall-clock", "0.2.12"),
    ("wasi:config/store", "0.2.0-rc.1"),
    ("wasi:filesystem/preopens", "0.2.12"),
    ("wasi:filesystem/types", "0.2.12"),
    ("wasi:http/outgoing-handler", "0.2.12"),
    ("wasi:http/types", "0.2.12"),
    ("wasi:io/error", "0.2.12"),
    ("wasi:io/poll", "0.2.12"),
    ("wasi:io/streams", "0.2.12"),
    ("wasi:keyvalue/atomics", "0.2.0-draft"),
    ("wasi:keyvalue/batch", "0.2.0-draft"),
    ("wasi:keyvalue/store", "0.2.0-draft"),
    ("wasi:random/insecure", "0.2.12"),
    ("wasi:random/insecure-seed", "0.2.12"),
    ("wasi:random/random", "0.2.12"),
    ("wasi:sockets/instance-network", "0.2.12"),
    ("wasi:sockets/ip-name-lookup", "0.2.12"),
    ("wasi:sockets/network", "0.2.12"),
    ("wasi:sockets/tcp", "0.2.12"),
    ("wasi:sockets/tcp-create-socket", "0.2.12"),
    ("wasi:sockets/udp", "0.2.12"),
    ("wasi:sockets/udp-create-socket", "0.2.12"),
    ("wasi:tls/types", "0.2.0-draft"),
];

/// Interfaces of WASI 0.3 that a component may import if its manifest allows it, each with the
/// version that there is. Another version of WASI 0.3 does as well.
pub const PREVIEW3_INTERFACES: [(&str, &str); 25] = [
    ("wasi:cli/environment", "0.3.0"),
    ("wasi:cli/exit", "0.3.0"),
    ("wasi:cli/stderr", "0.3.0"),
    ("wasi:cli/stdin", "0.3.0"),
    ("wasi:cli/stdout", "0.3.0"),
    ("wasi:cli/terminal-input", "0.3.0"),
    ("wasi:cli/terminal-output", "0.3.0"),
    ("wasi:cli/terminal-stderr", "0.3.0"),
    ("wasi:cli/terminal-stdin", "0.3.0"),
    ("wasi:cli/terminal-stdout", "0.3.0"),
    ("wasi:cli/types", "0.3.0"),
    ("wasi:clocks/monotonic-clock", "0.3.0"),
    ("wasi:clocks/system-clock", "0.3.0"),
    ("wasi:clocks/types", "0.3.0"),
    ("wasi:filesystem/preopens", "0.3.0"),
    ("wasi:filesystem/types", "0.3.0"),
    ("wasi:http/client", "0.3.0"),
    ("wasi:http/types", "0.3.0"),
    ("wasi:random/insecure", "0.3.0"),
    ("wasi:random/insecure-seed", "0.3.0"),
    ("wasi:random/random", "0.3.0"),
    ("wasi:sockets/ip-name-lookup", "0.3.0"),
    ("wasi:sockets/types", "0.3.0"),
    ("wasi:tls/client", "0.3.0-draft"),
    ("wasi:tls/types", "0.3.0-draft"),
];

/// Whether a core module may import this function.
#[must_use]
pub fn offers_function(module: &str, name: &str) -> bool {
    let mut known = MODULES.iter().filter(|(known, _)| *known == module);
    known.any(|(_, functions)| functions.contains(&name))
}

/// Whether a component may import the interface `name`, such as `wasi:cli/exit@0.2.6`.
#[must_use]
pub fn offers_interface(name: &str) -> bool {
    is_among(&INTERFACES, name)
}

/// Whether a component whose manifest allows WASI 0.3 may import its interface `name`.
#[must_use]
pub fn offers_preview3_interface(name: &str) -> bool {
    is_among(&PREVIEW3_INTERFACES, name)
}

fn is_among(interfaces: &[(&str, &str)], name: &str) -> bool {
    let (name, version) = name.split_once('@').unwrap_or((name, ""));
    let mut known = interfaces.iter().filter(|(known, _)| *known == name);
    known.any(|(_, own)| {
        // Versions of one track are compatible (component model, "Canonical Interface Name").
        let track = |version: &str| version.rsplit_once('.').map(|(track, _)| track.to_owned());
        version == *own
            || (!own.contains('-') && !version.contains('-') && track(version) == track(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_will_do() {
        assert!(offers_interface("wasi:cli/exit@0.2.0"));
        assert!(offers_interface("wasi:cli/exit@0.2.30"));
        assert!(!offers_interface("wasi:cli/exit@0.3.0"));
        assert!(offers_preview3_interface("wasi:cli/exit@0.3.1"));
        assert!(!offers_preview3_interface(
            "wasi:cli/exit@0.3.0-rc-2026-03-15"
        ));
        assert!(!offers_preview3_interface("wasi:cli/exit@0.2.0"));
        assert!(!offers_interface("wasi:cli/exit@0.2.0-rc-2023-11-10"));
        assert!(!offers_interface("wasi:cli/exit"));
        assert!(offers_interface("wasi:config/store@0.2.0-rc.1"));
        assert!(!offers_interface("wasi:config/store@0.2.0"));
        assert!(offers_function("wasi_snapshot_preview1", "fd_write"));
        assert!(!offers_function("wasi_unstable", "fd_write"));
        assert!(!offers_function("env", "fd_write"));
    }
}
