//! The JSON schema of policies.

use enarx_owner_evidence::{Technology, dcap::TcbStatus};
use enarx_wire_launch::Platform;
use serde_json::{Map, Value, json};

use crate::{Policy, value::PRODUCTS};

impl Policy {
    /// The JSON schema (draft 2020-12) of the TOML file, for editors and other tools.
    ///
    /// What it accepts is read, apart from contradictions between keys.
    #[must_use]
    pub fn schema() -> Value {
        let technologies = Technology::ALL.map(Technology::as_str);
        let permission = json!({ "enum": ["deny", "allow"] });
        let mut properties = json!({
            "name": { "type": "string" },
            "description": { "type": "string" },
            "technologies": list(json!({ "enum": technologies })),
            "platforms": list(json!({ "enum": Platform::ALL.map(Platform::as_str) })),
            "products": list(json!({ "enum": PRODUCTS })),
            "measurements": list(json!({ "anyOf": [
                { "enum": ["keep-image", "reference-values", "any"] }, hexadecimal(32), hexadecimal(48), hexadecimal(64),
            ] })),
            "minimum_tcb": object(json!({ "snp": minimum_snp() })),
            "tcb_statuses": list(json!({ "enum": TcbStatus::ALL.map(TcbStatus::as_str) })),
            "advisories": { "type": "array", "items": { "type": "string" } },
            "revocation": { "enum": ["demand", "if-available"] },
            "maximum_collateral_age": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            "debug": permission,
            "maximum_vmpl": { "type": "integer", "minimum": 0, "maximum": 3 },
            "machines": list(json!({ "anyOf": [
                hexadecimal(8), hexadecimal(16), hexadecimal(33), hexadecimal(48), hexadecimal(64),
            ] })),
            "host_data": hexadecimal(32),
            "simulation": permission,
            "simulation_roots": list(hexadecimal(48)),
        });
        if let Some(properties) = properties.as_object_mut() {
            for technology in Technology::ALL {
                properties.insert(technology.as_str().to_owned(), rules(technology));
            }
        }
        let mut schema = object(properties);
        if let Some(schema) = schema.as_object_mut() {
            let draft = "https://json-schema.org/draft/2020-12/schema";
            schema.insert("$schema".to_owned(), draft.into());
            schema.insert("title".to_owned(), "Enarx policy".into());
        }
        schema
    }
}

fn minimum_snp() -> Value {
    let version = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
    let parts = ["fmc", "bootloader", "tee", "snp", "microcode"];
    let mut properties: Map<_, _> = parts
        .map(|part| (part.to_owned(), version.clone()))
        .into_iter()
        .collect();
    let kind = object(Value::Object(properties.clone()));
    for name in ["reported", "committed", "current", "launch"] {
        properties.insert(name.to_owned(), kind.clone());
    }
    object(Value::Object(properties))
}

fn rules(technology: Technology) -> Value {
    let names = technology.names();
    let flags = json!({ "type": "array", "items": { "enum": names.flags } });
    let table = |names: &[&str], value: Value| {
        let properties = names.iter().map(|name| ((*name).to_owned(), value.clone()));
        object(Value::Object(properties.collect()))
    };
    let number = json!({ "type": "integer", "minimum": 0 });
    let bytes = json!({ "type": "string", "pattern": "^([0-9a-fA-F]{2}){0,1024}$" });
    object(json!({
        "required_flags": flags,
        "forbidden_flags": flags,
        "minimum": table(names.numbers, number.clone()),
        "numbers": table(names.numbers, list(number)),
        "values": table(names.values, list(bytes)),
    }))
}

/// A table with these keys and no others.
fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A list that is not empty.
fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

fn hexadecimal(bytes: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^[0-9a-fA-F]{{{}}}$", 2 * bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the keys that the reader knows, by what it says of another.
    fn known(table: &str) -> Vec<String> {
        let error = Policy::from_toml(&format!("{table}nonsense = 0\n")).unwrap_err();
        let text = error.to_string();
        let expected = text.split("expected").nth(1).unwrap();
        let names = expected.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read() {
        for (table, path) in [
            ("", "/properties"),
            (
                "[minimum_tcb.snp]\n",
                "/properties/minimum_tcb/properties/snp/properties",
            ),
            (
                "[minimum_tcb.snp.launch]\n",
                "/properties/minimum_tcb/properties/snp/properties/launch/properties",
            ),
            ("[sgx]\n", "/properties/sgx/properties"),
        ] {
            let schema = Policy::schema();
            let keys = schema.pointer(path).unwrap().as_object().unwrap().keys();
            let mut keys: Vec<_> = keys.cloned().collect();
            let mut known = known(table);
            keys.sort();
            known.sort();
            assert_eq!(keys, known, "{table}");
        }
    }

    #[test]
    fn what_the_schema_lists_is_read() {
        let schema = Policy::schema();
        for (key, written) in [
            ("technologies", "technologies"),
            ("platforms", "platforms"),
            ("products", "products"),
            ("tcb_statuses", "tcb_statuses"),
        ] {
            let path = format!("/properties/{key}/items/enum");
            for value in schema.pointer(&path).unwrap().as_array().unwrap() {
                assert!(
                    Policy::from_toml(&format!("{written} = [{value}]")).is_ok(),
                    "{value}"
                );
            }
        }
        for technology in Technology::ALL {
            let path = format!("/properties/{technology}/properties/required_flags/items/enum");
            for flag in schema.pointer(&path).unwrap().as_array().unwrap() {
                let text = format!("{technology}.required_flags = [{flag}]");
                assert!(Policy::from_toml(&text).is_ok(), "{text}");
            }
        }
    }
}
