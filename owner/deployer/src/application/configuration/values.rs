//! `[config]` and `[secrets]`: what `wasi:config` tells a component.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Problem;

/// Where a secret comes from, when the application is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, relative to the application's folder.
    File(PathBuf),
    /// A variable of the owner's own environment.
    Environment(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretTable {
    file: Option<PathBuf>,
    env: Option<String>,
}

/// The sources of secrets, none of which has the key of a plain value.
pub(super) fn secrets(
    tables: BTreeMap<String, Spanned<SecretTable>>,
    values: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, SecretSource>, Problem> {
    let mut secrets = BTreeMap::new();
    for (key, table) in tables {
        if values.contains_key(&key) {
            let message = format!("{key:?} is a key of `[config]`, too");
            return Err(Problem::new(&table, message));
        }
        let source = match (&table.get_ref().file, &table.get_ref().env) {
            (Some(file), None) => SecretSource::File(file.clone()),
            (None, Some(name)) => SecretSource::Environment(name.clone()),
            _ => {
                let message = "a secret comes from a `file`, or from `env`, a variable of yours";
                return Err(Problem::new(&table, message));
            }
        };
        secrets.insert(key, source);
    }
    Ok(secrets)
}
