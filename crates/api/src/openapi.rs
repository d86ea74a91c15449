//! The OpenAPI 3.1 document, made of [`ENDPOINTS`] and the types' schemas.
//!
//! Deterministic: the same program gives the same bytes, with all keys sorted, so that a change of
//! the interface shows as a difference of the checked-in file.

use std::collections::BTreeMap;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use wire::credential;

use crate::{
    endpoint::{Auth, ENDPOINTS, Endpoint},
    error::Code,
    log::TLOG_SIZE_MEDIA_TYPE,
    problem::{self, Problem},
};

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{*", "{");
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        let method = endpoint.method.as_str().to_ascii_lowercase();
        operations[method] = operation(endpoint, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    sorted(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Quorate",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
            "description": "Multi-node services that answer for what they do. \
                Errors are problem documents (RFC 9457) with a stable `code`.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "node": {
                    "type": "apiKey",
                    "in": "header",
                    "name": credential::HEADER,
                    "description": "A node's signature over this one call.",
                },
            },
        },
    }))
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "responses": responses(endpoint, generator),
    });
    let in_path = endpoint.path_parameters().into_iter().map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let mut parameters: Vec<Value> = in_path.collect();
    for parameter in endpoint.parameters {
        parameters.push(json!({
            "name": parameter.name,
            "in": if parameter.is_header { "header" } else { "query" },
            "description": parameter.description,
            "schema": (parameter.schema)(generator),
        }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &endpoint.request {
        let schema = match body.schema {
            Some(schema) => schema(generator).to_value(),
            None => json!({ "type": "string" }),
        };
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("At most {} bytes.", body.max_bytes),
            "content": { body.media_type: { "schema": schema } },
        });
    }
    if !endpoint.roles.is_empty() {
        let roles: Vec<&str> = endpoint.roles.iter().map(|role| role.as_str()).collect();
        operation["x-roles"] = json!(roles);
    }
    match endpoint.auth {
        Auth::None => {}
        Auth::Node => operation["security"] = json!([{ "node": [] }]),
        Auth::Operator => operation["x-signed-by"] = "operator".into(),
    }
    operation
}

fn responses(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let response = &endpoint.response;
    let schema = response.schema.map(|schema| schema(generator).to_value());
    let media = if response.is_stream() {
        // OpenAPI 3.1 has no word for the data of an event.
        json!({ "schema": { "type": "string" }, "x-event-data": schema })
    } else {
        json!({ "schema": schema.unwrap_or_else(|| json!({})) })
    };
    let mut responses = Map::new();
    let success = json!({ "description": "Done", "content": { response.media_type: media } });
    responses.insert(response.status.to_string(), success);

    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in endpoint.all_errors() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), error_response(&codes, generator));
    }
    responses.into()
}

/// The answer of all errors that have one status.
fn error_response(codes: &[Code], generator: &mut SchemaGenerator) -> Value {
    let described = codes.iter().map(|code| format!("`{code}`: {}", code.title()));
    let mut content = Map::new();
    if codes.iter().any(|code| *code != Code::WitnessConflict) {
        let schema = generator.subschema_for::<Problem>();
        content.insert(problem::MEDIA_TYPE.to_owned(), json!({ "schema": schema }));
    }
    if codes.contains(&Code::WitnessConflict) {
        let schema = json!({ "type": "string", "pattern": "^[0-9]+\\n$" });
        content.insert(TLOG_SIZE_MEDIA_TYPE.to_owned(), json!({ "schema": schema }));
    }
    let mut response = json!({
        "description": described.collect::<Vec<_>>().join("; "),
        "content": content,
    });
    if codes.iter().any(|code| code.has_retry_after()) {
        let seconds = json!({ "type": "integer", "minimum": 0 });
        let header = json!({ "description": "Seconds to wait.", "schema": seconds });
        response["headers"] = json!({ "Retry-After": header });
    }
    response
}

/// The value with all keys sorted, whatever order `serde_json` was built to keep.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().collect();
            let members = members.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
