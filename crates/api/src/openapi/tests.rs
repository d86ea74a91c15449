//! The document is one that tools can read: references resolve, parameters are declared, names are
//! unique, and every type that is sent strictly or leniently says so.

use std::collections::BTreeSet;

use super::*;

fn walk<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            visit(members);
            members.values().for_each(|member| walk(member, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves_and_every_schema_is_used() {
    let document = document();
    let mut references = BTreeSet::new();
    walk(&document, &mut |members| {
        if let Some(reference) = members.get("$ref") {
            references.insert(reference.as_str().expect("a reference is a string"));
        }
    });
    assert!(references.len() > 20, "{references:?}");
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect("a reference into this document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
        assert!(references.contains(&*format!("#/components/schemas/{name}")), "{name}");
    }
}

#[test]
fn operations_are_unique_and_declare_their_path_parameters() {
    let document = document();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let in_template: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for operation in methods.as_object().expect("methods").values() {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(operations.insert(name), "{name} stands twice");
            let empty = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&empty);
            let declared: BTreeSet<&str> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            assert_eq!(declared, in_template, "{name}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            assert!(responses.contains_key("500"), "{name}");
        }
    }
    assert_eq!(operations.len(), ENDPOINTS.len());
}

#[test]
fn inputs_refuse_unknown_fields_and_outputs_do_not() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let is_strict = schema["additionalProperties"] == false;
        let is_input = matches!(name.as_str(), "RequestSubmit" | "StatementSubmit");
        assert_eq!(is_strict, is_input, "{name}");
    }
}

#[test]
fn the_document_is_the_same_each_time_and_sorted() {
    let text = serde_json::to_string(&document()).expect("JSON");
    assert_eq!(text, serde_json::to_string(&document()).expect("JSON"));
    let order: Vec<_> = ["components", "info", "openapi", "paths", "servers"]
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn fields_without_a_value_and_nullable_values_are_told_apart() {
    let document = document();
    let view = &document["components"]["schemas"]["RequestView"];
    let required = view["required"].as_array().expect("required fields");
    assert!(required.contains(&json!("state")) && !required.contains(&json!("result")));
}
