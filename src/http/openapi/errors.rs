//! Which errors each operation can answer with, in the order in which they are checked.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    Content, ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use crate::http::error::ErrorAnswer;
use crate::http::error::table::{self, Row};

/// The 503s that no waiting helps against.
const WITHOUT_RETRY_AFTER: [&str; 5] = [
    "discogs_not_configured",
    "encryption_not_configured",
    "mail_not_configured",
    "second_factor_unavailable",
    "secret_unreadable",
];

/// The errors of operations that need an access token.
const SIGNED_IN: &[&Row] =
    &[&table::NOT_AUTHENTICATED, &table::INVALID_TOKEN, &table::DATABASE_UNAVAILABLE];
const ADMIN: &[&Row] = &[&table::ADMIN_REQUIRED];
const KEY: &[&Row] = &[&table::UNKNOWN_CONFIG_KEY];
const BODY: &[&Row] = &[&table::BODY_TOO_LARGE, &table::NOT_JSON, &table::INVALID_INPUT];
const LIMITED: &[&Row] = &[&table::RATE_LIMITED];
const STORED: &[&Row] = &[&table::DATABASE_UNAVAILABLE, &table::OVERLOADED, &table::INTERNAL];
const DISCOGS: &[&Row] = &[
    &table::STATE_STORE_UNAVAILABLE,
    &table::DISCOGS_CREDENTIALS_REJECTED,
    &table::DISCOGS_BLOCKED,
    &table::DISCOGS_UNAVAILABLE,
    &table::DISCOGS_RATE_LIMITED,
];

/// The errors of an operation; `None` for one that nobody has listed.
pub(super) fn of(operation: &str) -> Option<Vec<&'static Row>> {
    let groups: &[&[&'static Row]] = match operation {
        "register" => &[BODY, LIMITED, STORED, &[&table::EMAIL_TAKEN]],
        "signIn" => &[
            BODY,
            LIMITED,
            STORED,
            &[&table::INVALID_CREDENTIALS, &table::SECOND_FACTOR_UNAVAILABLE],
        ],
        "getCurrentUser" | "getConnection" | "disconnect" => &[SIGNED_IN, STORED],
        "startConnection" => {
            &[SIGNED_IN, LIMITED, &[&table::DISCOGS_NOT_CONFIGURED_AT_AUTHORIZE], STORED, DISCOGS]
        }
        "finishConnection" => &[
            SIGNED_IN,
            BODY,
            LIMITED,
            &[
                &table::DISCOGS_NOT_CONFIGURED_AT_VERIFY,
                &table::STATE_UNKNOWN,
                &table::STATE_BUSY,
                &table::STATE_NOT_YOURS,
                &table::VERIFIER_REJECTED,
            ],
            STORED,
            DISCOGS,
        ],
        "listConfig" => &[SIGNED_IN, ADMIN, STORED],
        "setConfig" => &[SIGNED_IN, ADMIN, KEY, BODY, STORED],
        "removeConfig" => &[SIGNED_IN, ADMIN, KEY, STORED],
        "getHealth" | "getLiveness" | "getReadiness" => &[],
        _ => return None,
    };
    Some(groups.concat())
}

/// Adds them to the document.
pub(super) struct Errors;

impl Modify for Errors {
    fn modify(&self, document: &mut Document) {
        let any = [table::INVALID_REQUEST, table::NOT_FOUND, table::METHOD_NOT_ALLOWED];
        let mut codes = BTreeSet::from(any.map(|row| row.code));
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let id = operation.operation_id.clone().unwrap_or_default();
                let rows = of(&id).unwrap_or_default();
                codes.extend(rows.iter().map(|row| row.code));
                for (status, rows) in by_status(&rows) {
                    let response = RefOr::T(response(status, &rows));
                    operation.responses.responses.insert(status.as_str().to_owned(), response);
                }
            }
        }
        codes.remove(table::INVALID_INPUT.code);
        list_codes(document, codes);
    }
}

/// Says which words there are for programs.
fn list_codes(document: &mut Document, codes: BTreeSet<&str>) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let error = schemas.and_then(|schemas| schemas.get_mut("Error"));
    if let Some(RefOr::T(Schema::Object(error))) = error
        && let Some(RefOr::T(Schema::Object(code))) = error.properties.get_mut("code")
    {
        code.enum_values = Some(codes.into_iter().map(Value::from).collect());
    }
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

/// The code of an error, and what it says.
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

fn header(description: &str, kind: Type) -> utoipa::openapi::header::Header {
    let schema = Schema::Object(ObjectBuilder::new().schema_type(kind).build());
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
