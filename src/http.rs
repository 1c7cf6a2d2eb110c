//! The HTTP API: every route on one screen; each route's path is declared on its handler.
//!
//! A handler calls a trait, and the trait's implementation talks to its server: two hops. This
//! module must not depend on which stores are in use.

mod envelope;
mod error;
mod json;
mod openapi;
mod request;
mod routes;
mod schema;
mod site;
mod state;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::config::WebPage;
use envelope::Cors;
use error::ApiError;
use routes::{accounts, admin, connection, health, metrics};
use site::{docs, page};

pub use envelope::Port;
pub use request::client::ForwardingWarnings;
pub use routes::health::{Health, Lifecycle, Stage};
pub use state::{App, AppState};

/// Returns the API's port.
#[must_use]
pub fn api(app: AppState) -> Port {
    let health = health_operations().with_state(app.health.for_a_port());
    let router = Router::from(operations().merge(health))
        .route("/openapi.json", get(async || docs::document(openapi_document())))
        .route("/docs", get(docs::swagger))
        .route("/docs/", get(docs::without_slash))
        .route("/docs/{file}", get(docs::file))
        .route("/redoc", get(docs::redoc))
        .route("/redoc/", get(docs::without_slash));
    let router = match app.web_page {
        WebPage::On => router
            .route("/", get(page::index))
            .route("/web/settings.json", get(page::settings))
            .route("/web/{file}", get(page::file)),
        WebPage::Off => router,
    };
    let cors = Cors::new(&app.cors_origins);
    Port::new(app, router, Some(cors))
}

/// Returns the port that serves health and metrics only.
#[must_use]
pub fn health_only(app: AppState) -> Port {
    let health = app.health.for_a_port();
    let router = Router::from(health_operations().with_state(Arc::clone(&health)))
        .route("/metrics", get(move |app| metrics::metrics(app, Arc::clone(&health))));
    Port::new(app, router, None)
}

/// Returns the OpenAPI document as JSON: what `/openapi.json` serves.
#[must_use]
pub fn openapi_document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        openapi::document([operations().into_openapi(), health_operations().into_openapi()])
    });
    &DOCUMENT
}

/// The API's operations, in the order of the document.
fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(accounts::register))
        .routes(routes!(accounts::login))
        .routes(routes!(accounts::me))
        .routes(
            routes!(connection::authorize).map(|methods| methods.head(get_only).fallback(get_only)),
        )
        .routes(routes!(connection::verify))
        .routes(routes!(connection::status))
        .routes(routes!(connection::revoke))
        .routes(routes!(admin::list))
        .routes(routes!(admin::put, admin::delete))
}

/// The operations of both ports; each port has checks of its own.
fn health_operations() -> OpenApiRouter<Arc<Health>> {
    OpenApiRouter::default()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// Refuses `HEAD`, which would start a flow, like every other wrong method.
async fn get_only() -> Response {
    ([(header::ALLOW, "GET")], ApiError::MethodNotAllowed).into_response()
}
