//! The OpenAPI 3.1 description, generated from [`Operation::ALL`] and the message
//! types, so that it cannot differ from them.

use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use crate::{
    API_VERSION, ErrorCode, HEADER_FIRST_FRAME, HEADER_REQUEST_ID, HostInfo, KeepInfo, KeepList,
    MEDIA_TYPE_PROBLEM, OfferResponse, Operation, OutputQuery, Problem, StartRequest, StartedKeep,
};

/// The description as a JSON document (OpenAPI 3.1.0). `version` is that of the
/// host's program.
#[must_use]
pub fn description(version: &str) -> Value {
    let mut requests = generator(Contract::Deserialize);
    let mut answers = generator(Contract::Serialize);
    let mut paths = Map::new();
    for operation in Operation::ALL {
        let item = paths
            .entry(operation.path())
            .or_insert_with(|| json!({}))
            .as_object_mut();
        if let Some(item) = item {
            item.insert(
                operation.method().as_str().to_ascii_lowercase(),
                describe(operation, &mut requests, &mut answers),
            );
        }
    }
    let mut schemas = requests.take_definitions(true);
    schemas.append(&mut answers.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Enarx host",
            "summary": "Starts Keeps and relays between them and their owners",
            "version": version,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "x-api-version": API_VERSION,
    })
}

fn generator(contract: Contract) -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.contract = contract;
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

fn describe(
    operation: Operation,
    requests: &mut SchemaGenerator,
    answers: &mut SchemaGenerator,
) -> Value {
    let mut described = json!({
        "operationId": format!("{operation:?}").to_ascii_lowercase(),
        "summary": operation.summary(),
        "parameters": parameters(operation, requests),
        "responses": responses(operation, answers),
    });
    if let Some(media_type) = operation.request_media_type() {
        let schema = match operation {
            Operation::Start => reference::<StartRequest>(requests),
            _ => json!({}),
        };
        described["requestBody"] = json!({
            "required": true,
            "content": { media_type: { "schema": schema } },
        });
    }
    if operation.needs_token() {
        described["security"] = json!([{ "token": [] }]);
    }
    described
}

fn parameters(operation: Operation, requests: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    if operation.concerns_keep() {
        parameters.push(json!({
            "name": "id",
            "in": "path",
            "required": true,
            "schema": reference::<crate::KeepId>(requests),
        }));
    }
    if operation == Operation::Output {
        let query = schemars::generate::SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<OutputQuery>();
        let properties = query.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            parameters.push(json!({ "name": name, "in": "query", "schema": schema }));
        }
    }
    parameters
}

fn responses(operation: Operation, answers: &mut SchemaGenerator) -> Value {
    let request_id = json!({ "schema": { "type": "string", "pattern": "^[0-9a-f]{16}$" } });
    let mut headers = json!({ HEADER_REQUEST_ID: request_id });
    if operation == Operation::Output {
        headers[HEADER_FIRST_FRAME] =
            json!({ "schema": { "type": "integer", "format": "uint64", "minimum": 0 } });
    }
    let mut success = json!({ "description": "Success", "headers": headers });
    if let Some(media_type) = operation.response_media_type() {
        let schema = answer_schema(operation, answers);
        success["content"] = json!({ media_type: { "schema": schema } });
    }
    let mut responses = Map::new();
    responses.insert(operation.success_status().to_string(), success);

    let problem = reference::<Problem>(answers);
    let mut by_status: std::collections::BTreeMap<u16, Vec<&ErrorCode>> = Default::default();
    let token = [ErrorCode::Unauthorized];
    let token = token.iter().filter(|_| operation.needs_token());
    for code in operation.refusals().iter().chain(token) {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        let sentences: Vec<_> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.as_str(), code.title()))
            .collect();
        responses.insert(
            status.to_string(),
            json!({
                "description": sentences.join("; "),
                "content": { MEDIA_TYPE_PROBLEM: { "schema": problem } },
            }),
        );
    }
    responses.insert(
        "default".into(),
        json!({
            "description": "Any other refusal",
            "content": { MEDIA_TYPE_PROBLEM: { "schema": problem } },
        }),
    );
    responses.into()
}

fn answer_schema(operation: Operation, answers: &mut SchemaGenerator) -> Value {
    match operation {
        Operation::Host => reference::<HostInfo>(answers),
        Operation::List => reference::<KeepList>(answers),
        Operation::Start => reference::<StartedKeep>(answers),
        Operation::Inspect | Operation::Stop => reference::<KeepInfo>(answers),
        Operation::Offer => reference::<OfferResponse>(answers),
        Operation::Health | Operation::Metrics => json!({ "type": "string" }),
        Operation::Description => json!({ "type": "object" }),
        // Bytes: OpenAPI 3.1 describes a binary body by its media type alone.
        Operation::Output | Operation::Provision | Operation::Package | Operation::Input => {
            json!({})
        }
    }
}

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MEDIA_TYPE_JSON;

    #[test]
    fn every_operation_and_every_reference_is_there() {
        let document = description("1.2.3");
        assert_eq!(document["info"]["version"], "1.2.3");
        for operation in Operation::ALL {
            let method = operation.method().as_str().to_ascii_lowercase();
            let described = &document["paths"][operation.path()][&method];
            assert_eq!(described["summary"], operation.summary());
            let success = operation.success_status().to_string();
            assert!(described["responses"][&success].is_object());
        }
        let text = document.to_string();
        for (start, _) in text.match_indices("\"#/") {
            let rest = &text[start + 2..];
            let pointer = &rest[..rest.find('"').unwrap()];
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        assert!(!text.contains("#/$defs"));
    }

    #[test]
    fn schemas_follow_the_types() {
        let document = description("1.2.3");
        let start = &document["components"]["schemas"]["StartRequest"];
        assert_eq!(start["additionalProperties"], false);
        assert_eq!(
            start["required"],
            json!(["backend", "nonce", "memory_bytes"])
        );
        assert_eq!(start["properties"]["nonce"]["pattern"], "^[0-9a-f]{64}$");
        let offer = &document["components"]["schemas"]["OfferResponse"];
        assert_eq!(offer["properties"]["offer"]["type"], "string");
        let output = &document["paths"]["/v1/keeps/{id}/output"]["get"]["parameters"];
        assert_eq!(output.as_array().unwrap().len(), 3);
        let body = &document["paths"]["/v1/keeps"]["post"]["requestBody"]["content"];
        assert_eq!(
            body[MEDIA_TYPE_JSON]["schema"]["$ref"],
            "#/components/schemas/StartRequest"
        );
    }
}
