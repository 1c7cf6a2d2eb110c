//! The OpenAPI 3.1 document: the parts that are not specific to one operation, and rendering it as
//! text.
//!
//! The operations come from the handlers, their types and the table of errors.
//! `docs/openapi.json` is a copy of the document.

use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::error::{ErrorAnswer, InvalidInputAnswer};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Discogsography API",
        description = "Accounts, access tokens and the Discogs connection for Discogsography.\n\n\
            **First steps**\n\n\
            1. `POST /api/auth/register` with an email address and a password.\n\
            2. `POST /api/auth/login` with the same.\n\
            3. Copy the `access_token` from the response.\n\
            4. Send it as `Authorization: Bearer <access_token>`. In Swagger UI, press **Authorize** \
            and paste it.\n\
            5. `GET /api/oauth/authorize/discogs`, then open `authorize_url` in a browser, press \
            Authorize on Discogs, and send the code (PIN) that it shows to \
            `POST /api/oauth/verify/discogs`.\n\n\
            **Errors** have a sentence for people in `detail` and a `code` for programs. Every response \
            has an `X-Request-Id`, which the service also logs. A request without exactly one `Host` \
            header is a 400 `invalid_request`. A request with a body and an `Origin` header, as \
            sent by browsers, needs a `Content-Type`.",
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

/// Returns the document of these operations as JSON.
pub(super) fn document(operations: impl IntoIterator<Item = Document>) -> String {
    let mut document = Described::openapi();
    operations.into_iter().for_each(|operations| document.merge(operations));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("access_token", access_token());
    for operation in operations_mut(&mut document) {
        // Without a requirement, it declares that it needs none.
        operation.security.get_or_insert_default();
    }
    // All keys of its maps are text, so it can always be serialized.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

/// Returns the scheme behind `Authorization: Bearer`.
fn access_token() -> SecurityScheme {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` that `POST /api/auth/login` returns."));
    SecurityScheme::Http(scheme.build())
}

fn operations_mut(document: &mut Document) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items
        .flat_map(|item| [&mut item.get, &mut item.post, &mut item.put, &mut item.delete])
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::http::openapi_document;

    fn document() -> Value {
        serde_json::from_str(openapi_document()).unwrap()
    }

    fn operations(document: &Value) -> impl Iterator<Item = &Value> {
        let paths = document["paths"].as_object().unwrap().values();
        paths.flat_map(|item| item.as_object().unwrap().values())
    }

    #[test]
    fn every_operation_that_can_fail_lists_its_errors() {
        for operation in operations(&document()) {
            let is_health = operation["tags"][0] == "Health";
            let is_listed = operation["responses"]["500"].is_object();
            assert_eq!(is_listed, !is_health, "{}", operation["operationId"]);
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
