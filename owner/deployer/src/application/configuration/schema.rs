//! The JSON schema of `Enarx.toml`.

use enarx_wire_package::HttpServer;
use serde_json::{Value, json};

use super::{Configuration, MAX_NAME_BYTES};

impl Configuration {
    /// The JSON schema (draft 2020-12) of the TOML file, for editors and other tools.
    ///
    /// What it accepts is read, apart from what keys say together, names, addresses and paths.
    #[must_use]
    pub fn schema() -> Value {
        let text = json!({ "type": "string" });
        let strings = json!({ "type": "array", "items": text });
        let port = json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX });
        let size = json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, text] });
        let mut schema = object(json!({
            "args": strings,
            "env": { "type": "object", "additionalProperties": text },
            "files": { "type": "array", "items": { "anyOf": [
                required(&["kind"], json!({
                    "kind": { "enum": ["null", "stdin", "stdout", "stderr"] },
                    "name": text,
                })),
                required(&["kind", "name"], json!({
                    "kind": { "const": "listen" },
                    "name": text,
                    "addr": text,
                    "port": port,
                    "prot": { "enum": ["tls", "tcp"] },
                })),
                required(&["kind", "host"], json!({
                    "kind": { "const": "connect" },
                    "name": text,
                    "host": text,
                    "port": port,
                    "prot": { "enum": ["tls", "tcp"] },
                })),
            ] } },
            "application": object(json!({
                "name": {
                    "type": "string",
                    "pattern": format!("^[A-Za-z0-9._-]{{1,{MAX_NAME_BYTES}}}$"),
                },
                "module": text,
            })),
            "mounts": { "type": "array", "items": required(
                &["source", "target"],
                json!({ "source": text, "target": text }),
            ) },
            "tls": object(json!({
                "certificate": text,
                "key": text,
                "names": strings,
                "authorities": text,
                "client_authorities": text,
                "clients": { "enum": ["required", "optional"] },
            })),
            "network": object(json!({ "connect": strings, "listen": strings })),
            "http": object(json!({
                "addr": text,
                "port": port,
                "prot": { "enum": ["tls", "tcp"] },
                "requests": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": HttpServer::MAX_REQUESTS,
                },
                "timeout": text,
            })),
            "wasi": object(json!({ "preview3": { "type": "boolean" } })),
            "config": { "type": "object", "additionalProperties": text },
            "secrets": { "type": "object", "additionalProperties": { "anyOf": [
                required(&["file"], json!({ "file": text })),
                required(&["env"], json!({ "env": text })),
            ] } },
            "limits": object(json!({
                "memory": size,
                "timeout": text,
                "cpu": text,
                "table_elements": { "type": "integer", "minimum": 0 },
                "instances": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                "output": size,
            })),
        }));
        if let Some(schema) = schema.as_object_mut() {
            let draft = "https://json-schema.org/draft/2020-12/schema";
            schema.insert("$schema".to_owned(), draft.into());
            schema.insert("title".to_owned(), "Enarx.toml".into());
        }
        schema
    }
}

/// A table with these keys and no others.
fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Such a table that must have some of its keys.
fn required(keys: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": keys,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The names of the keys that the reader knows, by what it says of another.
    fn known(table: &str) -> Vec<String> {
        let text = format!("{table}nonsense = 0\n");
        let error = Configuration::parse(Path::new("Enarx.toml"), &text).unwrap_err();
        let expected = error.message.split("expected").nth(1).unwrap();
        let names = expected.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read() {
        let schema = Configuration::schema();
        for (table, paths) in [
            ("", &["/properties"][..]),
            (
                "[[files]]\n",
                &[
                    "/properties/files/items/anyOf/0/properties",
                    "/properties/files/items/anyOf/1/properties",
                    "/properties/files/items/anyOf/2/properties",
                ],
            ),
            ("[application]\n", &["/properties/application/properties"]),
            ("[[mounts]]\n", &["/properties/mounts/items/properties"]),
            ("[tls]\n", &["/properties/tls/properties"]),
            ("[network]\n", &["/properties/network/properties"]),
            ("[http]\n", &["/properties/http/properties"]),
            ("[wasi]\n", &["/properties/wasi/properties"]),
            (
                "[secrets.x]\n",
                &[
                    "/properties/secrets/additionalProperties/anyOf/0/properties",
                    "/properties/secrets/additionalProperties/anyOf/1/properties",
                ],
            ),
            ("[limits]\n", &["/properties/limits/properties"]),
        ] {
            let tables = paths.iter().map(|path| schema.pointer(path).unwrap());
            let keys = tables.flat_map(|table| table.as_object().unwrap().keys());
            let mut keys: Vec<_> = keys.cloned().collect();
            let mut known = known(table);
            // Known, and always refused.
            known.retain(|key| key != "steward");
            keys.sort();
            keys.dedup();
            known.sort();
            assert_eq!(keys, known, "{table}");
        }
    }
}
