//! The HTTP API: every route on one screen, and what all of them have in common.
//!
//! A route's handler calls a trait, the trait's implementation talks to a server: two hops. Must
//! not know which stores there are.

mod admin;
mod asset;
mod auth;
mod body;
mod client;
mod cors;
mod docs;
mod envelope;
mod error;
mod extract;
mod forwarded;
mod headers;
mod health;
mod host;
mod input;
mod json;
mod metrics;
mod oauth;
mod openapi;
mod page;
mod trace;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post, put};
use discogsography_token::Key;
use ipnet::IpNet;
use url::Url;

use crate::clock::Clock;
use crate::config::{CorsOrigins, WebPage};
use crate::connect::Connect;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::password::Passwords;
use crate::random::Random;
use crate::storage::Storage;
use cors::Cors;
use error::ApiError;
use health::HealthResponse;

pub use body::WaitsForClient;
pub use client::ForwardingWarnings;
pub use envelope::Port;
pub use health::{Health, Phase, Stage};
pub use openapi::document as openapi_document;

/// What every handler can reach.
#[derive(Debug, Clone)]
pub struct AppState(Arc<App>);

/// The parts of the service that handlers call.
#[derive(Debug)]
pub struct App {
    /// Users and their connections; handlers ask `AppState::storage` for it.
    pub storage: Arc<dyn Storage>,
    /// The Discogs flow.
    pub connect: Connect,
    /// Hashing and checking passwords.
    pub passwords: Passwords,
    /// Signs and checks access tokens.
    pub key: Key,
    /// How long an access token is good.
    pub access_token_life: Duration,
    /// Tells the time.
    pub clock: Clock,
    /// Draws ids.
    pub random: Random,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the health routes say.
    pub health: Health,
    /// Which web pages may call.
    pub cors_origins: CorsOrigins,
    /// Whether the account page is served.
    pub web_page: WebPage,
    /// The front end to which the account page links.
    pub app_base_url: Option<Url>,
    /// How often somebody may ask.
    pub limits: Limits,
    /// Whose word on where a request comes from counts.
    pub trusted_proxies: Vec<IpNet>,
    /// What was already said about forwarding headers.
    pub forwarding_warnings: ForwardingWarnings,
}

impl App {
    /// Whether a stand-in for Discogs is used, so that no connection is a real one.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.connect.sandbox_consumer.is_some()
    }
}

impl AppState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }

    /// The storage, once it has been prepared.
    fn storage(&self) -> Result<&dyn Storage, ApiError> {
        match self.health.phase().stage() {
            Stage::Starting => {
                Err(ApiError::DatabaseUnavailable("the service is starting".to_owned()))
            }
            Stage::Ready | Stage::Draining => Ok(&*self.storage),
        }
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

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
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/me", get(auth::me))
        .route(
            "/api/oauth/authorize/discogs",
            get(oauth::authorize).head(get_only).fallback(get_only),
        )
        .route("/api/oauth/verify/discogs", post(oauth::verify))
        .route("/api/oauth/status/discogs", get(oauth::status))
        .route("/api/oauth/revoke/discogs", axum::routing::delete(oauth::revoke))
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
