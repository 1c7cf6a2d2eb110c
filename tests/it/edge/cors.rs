//! Which web pages may call from a browser, according to the Fetch standard.

use reqwest::Method;

use super::{assert_envelope, at_health, started};
use crate::harness::actor::send;
use crate::harness::{Actor, Answer, Composition, Setup, TestApp};

const EXPLORE: &str = "https://explore.example.com";
const LOCAL: &str = "http://localhost:3000";
const OTHER: &str = "https://evil.example.com";

/// Sends a request as a web page of this origin does.
async fn from_page(actor: &Actor, origin: &str, method: Method, path: &str) -> Answer {
    send(actor.request(method, path).header("origin", origin)).await
}

async fn preflight(actor: &Actor, origin: &str, path: &str) -> Answer {
    let request = actor.request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    send(request.header("access-control-request-headers", "authorization,content-type")).await
}

/// Returns the values of all headers of the protocol, in this order.
fn cors_headers(answer: &Answer) -> [Option<&str>; 7] {
    [
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
        "access-control-expose-headers",
        "access-control-allow-credentials",
        "vary",
    ]
    .map(|name| answer.header(name))
}

const METHODS: Option<&str> = Some("GET, POST, PUT, DELETE");
const REQUEST_HEADERS: Option<&str> = Some("Authorization, Content-Type");
const MAX_AGE: Option<&str> = Some("600");
const EXPOSED: Option<&str> = Some("Retry-After, WWW-Authenticate, X-Request-Id");
const VARY: Option<&str> = Some("Origin");

async fn restricted() -> TestApp {
    let origins = format!("{EXPLORE}, {LOCAL}");
    Setup::new(Composition::Embedded).with("CORS_ORIGINS", &origins).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_page_may_read_any_answer_by_default() {
    let app = started().await;
    let (nobody, alice) = (app.anonymous(), app.user("alice").await);
    let expected = [Some("*"), None, None, None, EXPOSED, None, None];
    let answers = [
        (200, from_page(&alice, OTHER, Method::GET, "/api/auth/me").await),
        (401, from_page(&nobody, OTHER, Method::GET, "/api/auth/me").await),
        (404, from_page(&nobody, "null", Method::GET, "/nowhere").await),
        (405, from_page(&nobody, OTHER, Method::PUT, "/api/auth/me").await),
        (422, from_page(&nobody, OTHER, Method::POST, "/api/auth/login").await),
        (200, from_page(&nobody, OTHER, Method::GET, "/health").await),
        (200, nobody.get("/health").await),
    ];
    for (status, answer) in answers {
        assert_eq!((answer.status, cors_headers(&answer)), (status, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_is_answered_if_the_route_exists() {
    let app = started().await;
    let expected = [Some("*"), METHODS, REQUEST_HEADERS, MAX_AGE, EXPOSED, None, None];
    for path in [
        "/api/auth/register",
        "/api/auth/me",
        "/api/oauth/authorize/discogs",
        "/api/admin/config/unknown",
        "/health",
    ] {
        let answer = preflight(&app.anonymous(), EXPLORE, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}");
        assert_eq!(cors_headers(&answer), expected, "{path}");
        assert_envelope(&answer, path.starts_with("/api/"));
    }
    for path in ["//", "/api", "/api/auth", "/api/auth/me/"] {
        let answer = preflight(&app.anonymous(), EXPLORE, path).await;
        answer.assert_error(404, "not_found", "Not Found");
        assert_eq!(answer.header("access-control-allow-methods"), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_without_a_preflight_is_a_wrong_method() {
    let app = started().await;
    let options = |actor: Actor| actor.request(Method::OPTIONS, "/api/auth/login");
    let nobody = app.anonymous();
    let requests = [
        options(nobody.clone()),
        options(nobody.clone()).header("origin", EXPLORE),
        options(nobody).header("access-control-request-method", "POST"),
    ];
    for request in requests {
        let answer = send(request).await;
        answer.assert_error(405, "method_not_allowed", "Method Not Allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let on_health_port = preflight(&at_health(&app), EXPLORE, "/health").await;
    on_health_port.assert_error(405, "method_not_allowed", "Method Not Allowed");
    assert_eq!(cors_headers(&on_health_port), [None; 7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_origins_are_allowed_by_name() {
    let app = restricted().await;
    let nobody = app.anonymous();
    for origin in [EXPLORE, LOCAL] {
        let answer = from_page(&nobody, origin, Method::GET, "/api/auth/me").await;
        let expected = [Some(origin), None, None, None, EXPOSED, None, VARY];
        assert_eq!((answer.status, cors_headers(&answer)), (401, expected));
        let answer = preflight(&nobody, origin, "/api/auth/me").await;
        let expected = [Some(origin), METHODS, REQUEST_HEADERS, MAX_AGE, EXPOSED, None, VARY];
        assert_eq!((answer.status, cors_headers(&answer)), (204, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_pages_may_not_read_a_restricted_answer() {
    let app = restricted().await;
    let nobody = app.anonymous();
    let expected = [None, None, None, None, None, None, VARY];
    let others = [
        OTHER,
        "null",
        "http://explore.example.com",
        "https://explore.example.com:8443",
        "https://explore.example.com.evil.example.com",
        "https://Explore.example.com",
        "http://localhost:3001",
        "*",
    ];
    for origin in others {
        let answer = from_page(&nobody, origin, Method::GET, "/api/auth/me").await;
        assert_eq!((answer.status, cors_headers(&answer)), (401, expected), "{origin}");
        let answer = preflight(&nobody, origin, "/api/auth/me").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary"), VARY, "{origin}");
    }
    for path in ["/api/auth/me", "/nowhere", "/health"] {
        assert_eq!(cors_headers(&nobody.get(path).await), expected, "{path}");
    }
    let file = nobody.get("/docs/swagger.js").await;
    let vary: Vec<_> = file.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Origin", "Accept-Encoding"]);
}
