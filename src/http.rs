//! The HTTP API: every route on one screen, and what all of them have in common.
//!
//! A route's handler calls a trait, the trait's implementation talks to a server: two hops. Must
//! not know which stores there are.

mod envelope;
mod error;
mod json;
mod openapi;
mod request;
mod routes;
mod site;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post, put};

use crate::config::WebPage;
use envelope::Cors;
use error::ApiError;
use routes::health::HealthResponse;
use routes::{accounts, admin, connection, health, metrics};
use site::{docs, page};

pub use envelope::Port;
pub use openapi::document as openapi_document;
pub use request::client::ForwardingWarnings;
pub use routes::health::{Health, Phase, Stage};
pub use state::{App, AppState};

/// Routes, with their templates for whoever needs to name one.
#[derive(Default)]
struct Routes {
    router: Router<AppState>,
    templates: Vec<&'static str>,
}

impl Routes {
    fn route(mut self, template: &'static str, methods: MethodRouter<AppState>) -> Self {
        self.templates.push(template);
        Self { router: self.router.route(template, methods), ..self }
    }
}

/// The API's port.
#[must_use]
pub fn api(app: AppState) -> Port {
    let routes = documented_routes(&app.health.for_a_port())
        .route("/openapi.json", get(docs::document))
        .route("/docs", get(docs::swagger))
        .route("/docs/", get(docs::without_slash))
        .route("/docs/{file}", get(docs::file))
        .route("/redoc", get(docs::redoc))
        .route("/redoc/", get(docs::without_slash));
    let routes = match app.web_page {
        WebPage::On => routes
            .route("/", get(page::index))
            .route("/web/settings.json", get(page::settings))
            .route("/web/{file}", get(page::file)),
        WebPage::Off => routes,
    };
    let cors = Cors::new(&app.cors_origins);
    Port::new(app, routes, Some(cors))
}

/// What `/openapi.json` describes.
fn documented_routes(port: &Arc<Health>) -> Routes {
    health_routes(port)
        .route("/api/auth/register", post(accounts::register))
        .route("/api/auth/login", post(accounts::login))
        .route("/api/auth/me", get(accounts::me))
        .route(
            "/api/oauth/authorize/discogs",
            get(connection::authorize).head(get_only).fallback(get_only),
        )
        .route("/api/oauth/verify/discogs", post(connection::verify))
        .route("/api/oauth/status/discogs", get(connection::status))
        .route("/api/oauth/revoke/discogs", axum::routing::delete(connection::revoke))
        .route("/api/admin/config", get(admin::list))
        .route("/api/admin/config/{key}", put(admin::put).delete(admin::delete))
}

/// The port of health and metrics, which serves nothing else.
#[must_use]
pub fn health_only(app: AppState) -> Port {
    let port = app.health.for_a_port();
    let routes = health_routes(&port)
        .route("/metrics", get(move |app| metrics::metrics(app, Arc::clone(&port))));
    Port::new(app, routes, None)
}

fn health_routes(port: &Arc<Health>) -> Routes {
    Routes::default()
        .route("/health", get_health(port, health::health))
        .route("/health/live", get_health(port, health::live))
        .route("/health/ready", get_health(port, health::ready))
}

fn get_health<F>(port: &Arc<Health>, answer: fn(Arc<Health>) -> F) -> MethodRouter<AppState>
where
    F: Future<Output = HealthResponse> + Send + 'static,
{
    let port = Arc::clone(port);
    get(move || answer(Arc::clone(&port)))
}

/// The answer to a method that would start something, or that the route does not know.
async fn get_only() -> Response {
    ([(header::ALLOW, "GET")], ApiError::MethodNotAllowed).into_response()
}
