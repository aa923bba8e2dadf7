//! Where files are kept between runs (XDG Base Directory Specification, version 0.8).

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::failure::Advice;

/// Compiled programs and Keep images: can be deleted at any time.
///
/// # Errors
///
/// When the user has no home directory.
pub fn cache() -> anyhow::Result<PathBuf> {
    directory("XDG_CACHE_HOME", ".cache")
}

/// Sessions and the simulator's keys: lost when deleted.
///
/// # Errors
///
/// When the user has no home directory.
pub fn state() -> anyhow::Result<PathBuf> {
    directory("XDG_STATE_HOME", ".local/state")
}

fn directory(variable: &str, below_home: &str) -> anyhow::Result<PathBuf> {
    // The specification has relative paths ignored.
    let set = env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = set.or_else(|| env::home_dir().map(|home| home.join(below_home)));
    base.filter(|base| base.is_absolute())
        .map(|base| base.join(Path::new("enarx")))
        .ok_or_else(|| {
            Advice::error(
                "there is no home directory",
                format!("set HOME or {variable} to a directory of yours"),
            )
        })
}
