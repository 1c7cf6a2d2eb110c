//! The document of the API (OpenAPI 3.1): made from the handlers, their types and the table of
//! errors, and kept as `docs/openapi.json`.

mod errors;

use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi};

use super::error::{ErrorAnswer, InvalidInputAnswer, table};
use crate::model::ConfigKey;
use errors::Errors;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Discogsography API",
        description = "Accounts, access tokens and the Discogs connection for Discogsography.\n\n\
            **First steps**\n\n\
            1. `POST /api/auth/register` with an email address and a password.\n\
            2. `POST /api/auth/login` with the same.\n\
            3. Copy the `access_token` from the answer.\n\
            4. Send it as `Authorization: Bearer <access_token>`. On the page that tries requests, \
            press **Authorize** and paste it.\n\
            5. `GET /api/oauth/authorize/discogs`, then open `authorize_url` in a browser, press \
            Authorize at Discogs, and send the code (PIN) that it shows to \
            `POST /api/oauth/verify/discogs`.\n\n\
            **Errors** have a sentence for people in `detail` and a word for programs in `code`. \
            Every answer has an `X-Request-Id`, which is also in the service's log. A \
            request without exactly one `Host` header is a 400 `invalid_request`. A request with a body \
            and an `Origin` header, as browsers send it, needs a `Content-Type`.",
    ),
    servers((url = ".", description = "The service that serves this document.")),
    components(schemas(ErrorAnswer, InvalidInputAnswer)),
    tags(
        (name = "Accounts", description = "Register, sign in, and get the current user."),
        (name = "Discogs", description = "Connect a Discogs account with a code (PIN)."),
        (name = "Admin", description = "The app's Discogs credentials."),
        (name = "Health", description = "For load balancers, containers and people; on both ports."),
    ),
)]
struct Described;

/// The scheme behind `Authorization: Bearer`.
struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `access_token` that `POST /api/auth/login` returns."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// Says of operations without a security requirement that they need none.
struct OpenOperations;

impl Modify for OpenOperations {
    fn modify(&self, document: &mut Document) {
        for operation in operations_mut(document) {
            operation.security.get_or_insert_default();
        }
    }
}

/// Names the known keys wherever one is in a path.
struct ConfigKeys;

impl Modify for ConfigKeys {
    fn modify(&self, document: &mut Document) {
        let parameters = operations_mut(document).flat_map(|operation| &mut operation.parameters);
        for parameter in parameters.flatten() {
            if let RefOr::T(parameter) = parameter
                && parameter.name == "key"
            {
                parameter.schema = Some(config_key().into());
            }
        }
    }
}

fn operations_mut(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items
        .flat_map(|item| [&mut item.get, &mut item.post, &mut item.put, &mut item.delete])
        .flatten()
}

/// Returns the document of these operations as JSON.
pub(super) fn document(operations: impl IntoIterator<Item = Document>) -> String {
    let document = with_operations(operations);
    // All keys of its maps are text, so it can always be serialized.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

fn with_operations(operations: impl IntoIterator<Item = Document>) -> Document {
    let mut document = Described::openapi();
    operations.into_iter().for_each(|operations| document.merge(operations));
    let modifiers: [&dyn Modify; 4] = [&AccessToken, &OpenOperations, &ConfigKeys, &Errors];
    modifiers.into_iter().for_each(|modifier| modifier.modify(&mut document));
    document
}

/// The schema of a field that is always `true`.
pub(super) fn always_true() -> Object {
    one_of(Type::Boolean, [true])
}

/// The schema of a field that is always `false`.
pub(super) fn always_false() -> Object {
    one_of(Type::Boolean, [false])
}

/// The schema of the `code` that stands with a list of what is wrong.
pub(super) fn invalid_input() -> Object {
    one_of(Type::String, [table::INVALID_INPUT.code])
}

/// The schema of the type of an access token.
pub(super) fn bearer() -> Object {
    one_of(Type::String, ["bearer"])
}

/// The schema of a config key.
pub(super) fn config_key() -> Object {
    one_of(Type::String, ConfigKey::ALL.map(ConfigKey::as_str))
}

fn one_of<V: Into<Value>, const N: usize>(kind: Type, values: [V; N]) -> Object {
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::errors;
    use crate::http::openapi_document;

    fn document() -> Value {
        serde_json::from_str(openapi_document()).unwrap()
    }

    fn operations(document: &Value) -> impl Iterator<Item = &Value> {
        let paths = document["paths"].as_object().unwrap().values();
        paths.flat_map(|item| item.as_object().unwrap().values())
    }

    #[test]
    fn every_operation_lists_its_errors() {
        for operation in operations(&document()) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(errors::of(id).is_some(), "{id}");
        }
    }

    #[test]
    fn every_tag_is_described() {
        let document = document();
        let tags = document["tags"].as_array().unwrap().iter();
        let described: BTreeSet<_> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
        let used: BTreeSet<_> = operations(&document)
            .flat_map(|operation| operation["tags"].as_array().unwrap())
            .map(|tag| tag.as_str().unwrap())
            .collect();
        assert_eq!(described, used);
    }
}
