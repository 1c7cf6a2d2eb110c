//! The document of the API (OpenAPI 3.1): made from the handlers, their types and the table of
//! errors, and kept as `docs/openapi.json`.

mod errors;

use std::sync::LazyLock;

use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::{ErrorAnswer, InvalidInputAnswer};
use super::{admin, auth, health, oauth};
use errors::Errors;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Discogsography API",
        description = "Accounts, access tokens and the Discogs connection for Discogsography.\n\n\
            Every error has a sentence for people in `detail` and a word for programs in `code`. \
            Every answer has an `X-Request-Id`, which the service's log names too.\n\n\
            A request without exactly one `Host` header is a 400 `invalid_request`. A request with a \
            body and an `Origin` header, as browsers send it, needs a `Content-Type`.",
    ),
    paths(
        auth::register,
        auth::login,
        auth::me,
        oauth::authorize,
        oauth::verify,
        oauth::status,
        oauth::revoke,
        admin::list,
        admin::put,
        admin::delete,
        health::health,
        health::live,
        health::ready,
    ),
    components(schemas(ErrorAnswer, InvalidInputAnswer)),
    tags(
        (name = "Accounts", description = "Register, sign in, who am I."),
        (name = "Discogs", description = "Connect a Discogs account with a PIN."),
        (name = "Admin", description = "The app's Discogs credentials."),
        (name = "Health", description = "For balancers, containers and people; on both ports."),
    ),
    modifiers(&AccessToken, &Errors),
)]
struct Described;

/// The scheme behind `Authorization: Bearer`.
struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `access_token` that signing in gives."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// The document as JSON.
#[must_use]
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        // Its keys are all text, so it can always be written.
        Described::openapi().to_pretty_json().unwrap_or_default() + "\n"
    });
    &DOCUMENT
}

/// The schema of a field that is always `true`.
pub(super) fn always_true() -> Object {
    always(true)
}

/// The schema of a field that is always `false`.
pub(super) fn always_false() -> Object {
    always(false)
}

fn always(value: bool) -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([value])).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::OpenApi as _;
    use utoipa::openapi::OpenApi as Document;
    use utoipa::openapi::path::Operation;

    use super::{Described, errors};

    fn operations(document: &Document) -> impl Iterator<Item = &Operation> {
        let items = document.paths.paths.values();
        items.flat_map(|item| [&item.get, &item.post, &item.put, &item.delete]).flatten()
    }

    #[test]
    fn every_operation_lists_its_errors() {
        for operation in operations(&Described::openapi()) {
            let id = operation.operation_id.as_deref().unwrap();
            assert!(errors::of(id).is_some(), "{id}");
        }
    }

    #[test]
    fn every_tag_is_described() {
        let document = Described::openapi();
        let described: BTreeSet<_> =
            document.tags.iter().flatten().map(|tag| tag.name.clone()).collect();
        let used: BTreeSet<_> = operations(&document)
            .flat_map(|operation| operation.tags.clone().unwrap_or_default())
            .collect();
        assert_eq!(described, used);
    }
}
