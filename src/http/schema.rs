//! Schemas of fields with a closed set of values, for the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::error::table;

/// Returns the schema of a field that is always `true`.
pub(super) fn always_true() -> Object {
    one_of(Type::Boolean, [true]).build()
}

/// Returns the schema of a field that is always `false`.
pub(super) fn always_false() -> Object {
    one_of(Type::Boolean, [false]).build()
}

/// Returns the schema of an access token's type.
pub(super) fn bearer() -> Object {
    one_of(Type::String, ["bearer"]).build()
}

/// Returns the schema of the `code` beside a list of bad fields.
pub(super) fn invalid_input() -> Object {
    one_of(Type::String, [table::INVALID_INPUT.code]).build()
}

/// Returns the schema of the `code` of every other error.
pub(super) fn error_code() -> Object {
    let codes: BTreeSet<_> = table::ALL.iter().map(|row| row.code).collect();
    let others = codes.into_iter().filter(|code| *code != table::INVALID_INPUT.code);
    one_of(Type::String, others).description(Some("What is wrong, for programs.")).build()
}

fn one_of<V: Into<Value>>(kind: Type, values: impl IntoIterator<Item = V>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values))
}
