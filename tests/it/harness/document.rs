//! The document of the API (`docs/openapi.json`), against which every answer of the suite is checked.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Answer;
use super::answer::WITHOUT_RETRY_AFTER;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap());

/// Compiled schemas, by the pointer to their answer.
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> =
    LazyLock::new(Mutex::default);

/// The committed document.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// The paths of the document, each with its parameters replaced by their examples, and its operations
/// by method.
pub(crate) fn paths() -> impl Iterator<Item = (String, &'static Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths.map(|(template, item)| {
        let operations = item.as_object().unwrap();
        (with_examples(template, operations), operations)
    })
}

fn with_examples(template: &str, operations: &Map<String, Value>) -> String {
    let mut path = template.to_owned();
    let parameters = operations.values().filter_map(|operation| operation["parameters"].as_array());
    for parameter in parameters.flatten() {
        let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
        path = path.replace(&name, parameter["example"].as_str().unwrap());
    }
    path
}

/// Asserts that the document describes an answer. Only answers that no operation of the API gave need
/// no description.
#[track_caller]
pub(crate) fn assert_described(method: &Method, path: &str, answer: &Answer) {
    let method = method.as_str().to_ascii_lowercase();
    let Some((template, operation)) = operation(&method, path) else {
        assert!(!is_of_an_operation(&method, path, answer), "{method} {path} is not described");
        return;
    };
    let status = answer.status.to_string();
    let described = operation["responses"].get(&status);
    let described =
        described.unwrap_or_else(|| panic!("{method} {path} is not said to answer {answer:?}"));
    for (name, _) in described["headers"].as_object().into_iter().flatten() {
        let may_be_absent = WITHOUT_RETRY_AFTER.iter().any(|code| answer.body.contains(code));
        assert!(answer.header(name).is_some() || may_be_absent, "{name}: {answer:?}");
    }
    if described.get("content").is_none() {
        assert_eq!(answer.body, "", "{method} {path}");
        return;
    }
    assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
    let pointer = format!(
        "/paths/{}/{method}/responses/{status}/content/application~1json/schema",
        template.replace('/', "~1")
    );
    if let Err(error) = validator(&pointer).validate(&answer.json()) {
        panic!("{method} {path}: {error} at {}: {answer:?}", error.instance_path());
    }
}

/// Whether the API answered with an operation: not that there is none, not a preflight, and not a `HEAD`,
/// which is answered like the `GET`.
fn is_of_an_operation(method: &str, path: &str, answer: &Answer) -> bool {
    let is_routed = ![404, 405].contains(&answer.status);
    path.starts_with("/api/") && is_routed && !["head", "options"].contains(&method)
}

/// Returns the operation of a request, with the template of its path.
fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let is_of = |template: &str| {
        let (ours, theirs) = (path.split('/'), template.split('/'));
        ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(|(our, their)| our == their || their.starts_with('{'))
    };
    let mut paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let (template, item) = paths.find(|(template, _)| is_of(template))?;
    Some((template, item.get(method)?))
}

fn validator(pointer: &str) -> &'static Validator {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    validators.entry(pointer.to_owned()).or_insert_with(|| {
        let mut schema = DOCUMENT.pointer(pointer).unwrap().clone();
        schema["components"] = DOCUMENT["components"].clone();
        forbid_more(&mut schema);
        let options = jsonschema::options().should_validate_formats(true);
        Box::leak(Box::new(options.build(&schema).unwrap()))
    })
}

/// Makes undescribed fields an error, which clients may ignore.
fn forbid_more(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            object.values_mut().for_each(forbid_more);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_more),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
