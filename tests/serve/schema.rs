//! docs/fleet-api.json, and whether a value is what a schema of it says. Knows the keywords that the document uses; any other
//! one fails.

use serde_json::Value;

use crate::support::repository;

/// The document.
pub fn document() -> Value {
    let text = std::fs::read(repository().join("docs/fleet-api.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The documented responses of a method.
pub fn operation<'d>(document: &'d Value, method: &str, path: &str) -> &'d Value {
    let operation = &document["paths"][path][method.to_lowercase()];
    assert!(operation.is_object(), "{method} {path} is not documented");
    operation
}

/// What `reference` or a value itself is.
pub fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap_or_else(|| panic!("{reference}")),
        None => value,
    }
}

/// Why a value is not what a schema says.
pub fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    for (keyword, rule) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_of_type(one, value)),
                one => is_of_type(one, value),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "anyOf" => {
                let schemas = rule.as_array().unwrap();
                schemas
                    .iter()
                    .any(|schema| check(document, schema, value, at).is_ok())
            }
            "required" => {
                let keys = rule.as_array().unwrap();
                let has = |key: &Value| value.get(key.as_str().unwrap()).is_some();
                !value.is_object() || keys.iter().all(has)
            }
            "minProperties" => value.as_object().unwrap().len() as u64 >= rule.as_u64().unwrap(),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        check(document, rule, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                for (key, value) in value.as_object().into_iter().flatten() {
                    if known.is_some_and(|known| known.contains_key(key)) {
                        continue;
                    }
                    match rule {
                        Value::Bool(false) => return Err(format!("{at}.{key} is not documented")),
                        rule => check(document, rule, value, &format!("{at}.{key}"))?,
                    }
                }
                true
            }
            "description" | "default" => true,
            other => panic!("the check does not know the keyword {other}"),
        };
        if !fits {
            return Err(format!("{at} does not fit {keyword} {rule}: {value}"));
        }
    }
    Ok(())
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_check_finds_what_does_not_fit() {
    let document = document();
    let schema = &document["components"]["schemas"]["NewEntry"];
    let good = serde_json::json!({"type": "ip", "value": "192.0.2.1"});
    check(&document, schema, &good, "entry").unwrap();
    for (key, wrong) in [("type", "mac"), ("other", "x")] {
        let mut entry = good.clone();
        entry[key] = wrong.into();
        check(&document, schema, &entry, "entry").unwrap_err();
    }
    check(
        &document,
        schema,
        &serde_json::json!({"type": "ip"}),
        "entry",
    )
    .unwrap_err();
    check(
        &document,
        schema,
        &serde_json::json!({"type": "ip", "value": 1}),
        "entry",
    )
    .unwrap_err();
}
