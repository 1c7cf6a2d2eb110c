//! The errors of operations in the OpenAPI document: each handler names its own.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::ErrorAnswer;
use super::table::{self, Row};

/// The 503s that waiting does not help against.
const WITHOUT_RETRY_AFTER: [&str; 2] = ["discogs_not_configured", "second_factor_unavailable"];

/// The errors of operations that need an access token.
pub(crate) const SIGNED_IN: &[&Row] =
    &[&table::NOT_AUTHENTICATED, &table::INVALID_TOKEN, &table::DATABASE_UNAVAILABLE];
/// The errors of operations for admins, besides [`SIGNED_IN`].
pub(crate) const ADMIN: &[&Row] = &[&table::ADMIN_REQUIRED];
/// The errors of operations with a config key in the path.
pub(crate) const KEY: &[&Row] = &[&table::UNKNOWN_CONFIG_KEY];
/// The errors of operations with a body.
pub(crate) const BODY: &[&Row] = &[&table::BODY_TOO_LARGE, &table::NOT_JSON, &table::INVALID_INPUT];
/// The errors of operations with a request limit.
pub(crate) const LIMITED: &[&Row] = &[&table::RATE_LIMITED];
/// The errors of operations that use the storage.
pub(crate) const STORED: &[&Row] =
    &[&table::DATABASE_UNAVAILABLE, &table::OVERLOADED, &table::INTERNAL];
/// The errors of operations that call Discogs.
pub(crate) const DISCOGS: &[&Row] = &[
    &table::SECRET_UNREADABLE,
    &table::STATE_STORE_UNAVAILABLE,
    &table::DISCOGS_CREDENTIALS_REJECTED,
    &table::DISCOGS_BLOCKED,
    &table::DISCOGS_UNAVAILABLE,
    &table::DISCOGS_RATE_LIMITED,
];

/// Declares the errors of one operation as a type for its `#[utoipa::path]`: groups of rows, in the
/// order in which they are checked.
macro_rules! operation_errors {
    ($name:ident: $($rows:expr),+ $(,)?) => {
        pub(crate) enum $name {}

        impl utoipa::IntoResponses for $name {
            fn responses() -> $crate::http::error::responses::Responses {
                $crate::http::error::responses::responses(&[$($rows),+])
            }
        }
    };
}

pub(crate) use operation_errors;

/// Responses by status code.
pub(crate) type Responses = BTreeMap<String, RefOr<Response>>;

/// Returns one response for each status among the rows.
pub(crate) fn responses(groups: &[&[&'static Row]]) -> Responses {
    let by_status = by_status(&groups.concat());
    let shown = |(status, rows): (StatusCode, Vec<&Row>)| {
        (status.as_str().to_owned(), RefOr::T(response(status, &rows)))
    };
    by_status.into_iter().map(shown).collect()
}

fn by_status(rows: &[&'static Row]) -> BTreeMap<StatusCode, Vec<&'static Row>> {
    let mut by_status: BTreeMap<StatusCode, Vec<&'static Row>> = BTreeMap::new();
    for row in rows {
        let listed = by_status.entry(row.status).or_default();
        if listed.iter().all(|other| other.code != row.code) {
            listed.push(row);
        }
    }
    by_status
}

fn response(status: StatusCode, rows: &[&Row]) -> Response {
    let reasons: Vec<_> = rows.iter().map(|row| reason(row)).collect();
    let mut response = ResponseBuilder::new()
        .description(reasons.join("\n\n"))
        .content("application/json", content(rows));
    if status == StatusCode::UNAUTHORIZED {
        response = response.header("WWW-Authenticate", header("Always `Bearer`.", Type::String));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        response = response.header("Retry-After", header("Seconds to wait.", Type::Integer));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let without = rows.iter().filter(|row| WITHOUT_RETRY_AFTER.contains(&row.code));
        let without: Vec<_> = without.map(|row| format!("`{}`", row.code)).collect();
        let description = match without.as_slice() {
            [] => "Seconds to wait.".to_owned(),
            codes => format!("Seconds to wait. Not sent with {}.", codes.join(" and ")),
        };
        response = response.header("Retry-After", header(&description, Type::Integer));
    }
    response.build()
}

/// Returns the code of an error and its sentence.
fn reason(row: &Row) -> String {
    let detail = if row.detail.is_empty() { "The body has invalid fields" } else { row.detail };
    format!("`{}`: {}.", row.code, detail.trim_end_matches('.'))
}

fn content(rows: &[&Row]) -> Content {
    let is_invalid_input = rows.iter().any(|row| row.code == table::INVALID_INPUT.code);
    let schema = if is_invalid_input { "InvalidInput" } else { "Error" };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    if is_invalid_input {
        return content.build();
    }
    let examples = rows.iter().map(|row| {
        let value = json!(ErrorAnswer::of(row));
        (row.code, utoipa::openapi::example::ExampleBuilder::new().value(Some(value)).build())
    });
    content.examples_from_iter(examples).build()
}

fn header(description: &str, kind: Type) -> Header {
    let schema = Schema::Object(ObjectBuilder::new().schema_type(kind).build());
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
