//! How hosts are looked up by name.

use std::ffi::{CStr, c_char, c_int};

/// Has the C library look up hosts in `/etc/hosts` and by DNS, whatever `/etc/nsswitch.conf` says. For
/// other ways it loads libraries, which only fit a program that was linked with this very system's
/// C library; the program that is handed out has one of its own.
///
/// To be called before another thread looks up anything. It reads the file once, so that `run` only does
/// it for programs that may use the network.
pub fn use_hosts_file_and_dns() {
    const DATABASE: &CStr = c"hosts";
    const SERVICES: &CStr = c"files dns";
    unsafe extern "C" {
        /// GNU C library, `nss.h`.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    // SAFETY: both are strings that stay. What it changes is the C library's, and no other
    // thread is reading that yet. A library without these services would look up nothing.
    unsafe { __nss_configure_lookup(DATABASE.as_ptr(), SERVICES.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs as _;

    #[test]
    fn this_machine_is_found_by_name() {
        super::use_hosts_file_and_dns();
        let found: Vec<_> = ("localhost", 1).to_socket_addrs().unwrap().collect();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
    }
}
