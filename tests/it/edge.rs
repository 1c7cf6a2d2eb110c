//! What every route has in common: the shape of errors, headers, methods.
//!
//! Nothing here depends on the stores, so all tests run on the embedded one. [`cors`]: browsers.
//! [`health`]: the health routes on both ports. [`page`]: the account page's files. [`crowd`]: more
//! clients than connections. [`not_reading`]: clients that read nothing. [`stop`]: clients during a stop.

mod cors;
mod crowd;
mod document;
mod health;
mod not_reading;
mod page;
mod stop;

use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::actor::send;
use crate::harness::document::paths;
use crate::harness::wire::{answer, connect, exchange, head};
use crate::harness::{Actor, Answer, Composition, Setup, TestApp};

/// The headers of every answer, on both ports.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("permissions-policy", "geolocation=(), microphone=(), camera=()"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

async fn started() -> TestApp {
    Setup::new(Composition::Embedded).start().await
}

/// Returns an actor without a token, at the health port.
fn at_health(app: &TestApp) -> Actor {
    app.anonymous().at(&app.health_url)
}

async fn request(actor: &Actor, method: &str, path: &str) -> Answer {
    send(actor.request(Method::from_bytes(method.as_bytes()).unwrap(), path)).await
}

/// Asserts the headers of every answer: [`HEADERS`], an id, and `no-store` for the API only.
fn assert_envelope(answer: &Answer, is_api: bool) {
    for (name, value) in HEADERS {
        assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
    }
    let cache_control = if is_api { Some("no-store") } else { None };
    assert_eq!(answer.header("cache-control"), cache_control, "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_path_is_not_found_on_either_port() {
    let app = started().await;
    let paths = [
        "//",
        "/api",
        "/api/",
        "/api/auth",
        "/api/auth/me/",
        "/api//auth/me",
        "/API/auth/me",
        "/api/auth/me.json",
        "/api/oauth/authorize/spotify",
        "/api/admin",
        "/health/",
        "/healthz",
        "/health/live/x",
        "/favicon.ico",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%ff",
    ];
    for actor in [app.anonymous(), at_health(&app), app.user("alice").await] {
        for path in paths {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                let answer = request(&actor, method, path).await;
                answer.assert_error(404, "not_found", "Not Found");
                assert_eq!(answer.header("allow"), None, "{method} {path}");
                assert_envelope(&answer, path == "/api" || path.starts_with("/api/"));
            }
        }
    }
}

/// The routes of the account page, which the document leaves out.
const PAGE: [&str; 2] = ["/", "/web/account.css"];

/// A `HEAD` would start a flow.
const WITHOUT_HEAD: &str = "/api/oauth/authorize/discogs";

/// Every route with its methods, sorted: those of the document, and [`PAGE`].
fn routes() -> Vec<(String, Vec<String>)> {
    let described = paths().map(|(path, operations)| {
        let mut methods: Vec<_> =
            operations.keys().map(|method| method.to_ascii_uppercase()).collect();
        if operations.contains_key("get") && path != WITHOUT_HEAD {
            methods.push("HEAD".to_owned());
        }
        methods.sort_unstable();
        (path, methods)
    });
    let of_page = PAGE.map(|path| (path.to_owned(), ["GET", "HEAD"].map(str::to_owned).to_vec()));
    described.chain(of_page).collect()
}

/// The methods in `Allow`, sorted.
fn allowed(answer: &Answer) -> Vec<&str> {
    let allow = answer.header("allow").unwrap_or_else(|| panic!("no Allow: {answer:?}"));
    let mut methods: Vec<_> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_wrong_method_lists_the_right_ones() {
    let app = started().await;
    let alice = app.user("alice").await;
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
    for (path, taken) in routes() {
        let is_health = path.starts_with("/health");
        let elsewhere = if is_health { at_health(&app) } else { app.anonymous() };
        for method in methods.into_iter().filter(|method| !taken.iter().any(|it| it == method)) {
            for actor in [&alice, &elsewhere] {
                let answer = request(actor, method, &path).await;
                assert_eq!(answer.status, 405, "{method} {path}");
                assert_eq!(allowed(&answer), taken, "{method} {path}");
                assert_envelope(&answer, path.starts_with("/api"));
                if method != "HEAD" {
                    let detail = "Method Not Allowed";
                    answer.assert_error(405, "method_not_allowed", detail);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorize_starts_nothing_unless_it_is_a_get() {
    let app = started().await;
    let alice = app.user("alice").await;
    for method in ["HEAD", "OPTIONS", "POST"] {
        let answer = request(&alice, method, WITHOUT_HEAD).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
    }
    assert_eq!(app.sandbox.calls(discogs_sandbox::Step::RequestToken), []);
}

/// Returns the headers of an answer, without those that differ each time.
fn lasting(mut headers: HeaderMap) -> HeaderMap {
    headers.remove("x-request-id");
    headers.remove("date");
    headers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_a_get_without_its_body() {
    let app = started().await;
    let (admin, nobody, health) = (app.admin().await, app.anonymous(), at_health(&app));
    let mut paths = routes();
    paths.retain(|(_, taken)| taken.iter().any(|method| method == "HEAD"));
    let asked = paths.iter().flat_map(|(path, _)| {
        let other = if path.starts_with("/health") { &health } else { &nobody };
        [(&admin, path), (other, path)]
    });
    for (actor, path) in asked {
        let (get, head) = (request(actor, "GET", path).await, request(actor, "HEAD", path).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(lasting(head.headers), lasting(get.headers), "{path}");
        assert_eq!(head.body, "", "{path}");
        assert_ne!(get.body, "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_security_headers() {
    let app = started().await;
    let (nobody, alice, admin) = (app.anonymous(), app.user("alice").await, app.admin().await);
    let key = "/api/admin/config/discogs_consumer_key";
    let answers = [
        (201, nobody.register("a@example.com", "long enough").await),
        (409, nobody.register("a@example.com", "long enough").await),
        (422, nobody.register("b@example.com", "short").await),
        (401, nobody.login("a@example.com", "wrong").await),
        (401, nobody.me().await),
        (200, alice.me().await),
        (400, alice.verify("unknown", "1234567890").await),
        (403, alice.get("/api/admin/config").await),
        (413, admin.send_body(Method::PUT, key, vec![b' '; 70_000]).await),
        (415, send(admin.request(Method::PUT, key).header("content-type", "a/b").body("{}")).await),
        (204, admin.delete(key).await),
        (503, alice.authorize().await),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_envelope(&answer, true);
    }
    for answer in [nobody.get("/health").await, at_health(&app).get("/health").await] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_envelope(&answer, false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_error_is_answered_without_its_cause() {
    let app = started().await;
    let alice = app.user("alice").await;
    app.sql("drop table oauth_tokens").await;
    let status = alice.status().await;
    let detail = "Something went wrong on our side. Please try again.";
    status.assert_error(500, "internal", detail);
    assert_eq!(status.header("access-control-allow-origin"), Some("*"));
    assert_envelope(&status, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_harmless_request_id_is_kept() {
    let app = started().await;
    let longest = "x".repeat(64);
    let every = "AZaz09._-";
    for id in ["1", "-", every, &longest, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"] {
        for actor in [app.anonymous(), at_health(&app)] {
            for path in ["/health", "/nowhere"] {
                let asked = actor.request(Method::GET, path).header("x-request-id", id);
                assert_eq!(send(asked).await.header("x-request-id"), Some(id));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_request_id_is_replaced() {
    let app = started().await;
    let too_long = "x".repeat(65);
    let others: [&[u8]; 10] = [
        b"",
        b"a b",
        b"a/b",
        b"a:b",
        b"a,b",
        b"a\tb",
        b"<b>",
        b"\xc3\xa4",
        b"\"",
        too_long.as_bytes(),
    ];
    let mut made = Vec::new();
    for other in others {
        let asked = app.anonymous().request(Method::GET, "/health").header("x-request-id", other);
        made.push(send(asked).await.header("x-request-id").unwrap().to_owned());
    }
    made.push(app.anonymous().get("/health").await.header("x-request-id").unwrap().to_owned());
    for id in &made {
        assert_eq!(id.len(), 32, "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    made.sort();
    let count = made.len();
    made.dedup();
    assert_eq!(made.len(), count, "an id was made twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_exactly_one_host() {
    let app = started().await;
    let close = "Connection: close\r\n";
    let preflight = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    let refused = [
        format!("GET /health HTTP/1.1\r\n{close}\r\n"),
        format!("GET http://test/health HTTP/1.1\r\n{close}\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n{close}\r\n"),
        "GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        format!("GET /health HTTP/1.1\r\nHost: a, b\r\n{close}\r\n"),
        format!("GET /nowhere HTTP/1.1\r\n{close}\r\n"),
        format!("OPTIONS /health HTTP/1.1\r\n{preflight}{close}\r\n"),
        format!("POST /health HTTP/1.1\r\nContent-Length: 4\r\n{close}\r\nbody"),
    ];
    for url in [&app.url, &app.health_url] {
        for request in &refused {
            let answer = exchange(url, request.as_bytes()).await;
            let said = "The request must have exactly one Host header.";
            answer.assert_error(400, "invalid_request", said);
            assert_envelope(&answer, false);
        }
        for head in ["GET /health HTTP/1.0\r\n", "GET /health HTTP/1.1\r\nHost:\r\n"] {
            let request = format!("{head}{close}\r\n");
            assert_eq!(exchange(url, request.as_bytes()).await.status, 200, "{head}");
        }
    }
    let me = format!("GET /api/auth/me HTTP/1.1\r\n{close}\r\n");
    assert_envelope(&exchange(&app.url, me.as_bytes()).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_at_most_100_lines() {
    let app = started().await;
    let with_lines = |count: usize| {
        let lines = "A: b\r\n".repeat(count - 2);
        format!("GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n")
    };
    for url in [&app.url, &app.health_url] {
        assert_eq!(exchange(url, with_lines(100).as_bytes()).await.status, 200);
        assert_eq!(exchange(url, with_lines(101).as_bytes()).await.status, 431);
    }
}

/// If the two times were swapped, the idle connection would stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_has_a_time_limit_of_its_own() {
    let app = Setup::new(Composition::Embedded).with("KEEP_ALIVE_SECONDS", "1").start().await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n";
    for url in [&app.url, &app.health_url] {
        let (mut idle, mut half) = (connect(url).await, connect(url).await);
        idle.write_all(request).await.unwrap();
        half.write_all(&request[..10]).await.unwrap();
        let (mut from_idle, mut from_half) = (String::new(), String::new());
        tokio::select! {
            ended = idle.read_to_string(&mut from_idle) => ended.unwrap(),
            _ = half.read_to_string(&mut from_half) => panic!("the half request ended first"),
        };
        assert!(from_idle.starts_with("HTTP/1.1 200 OK\r\n"), "{from_idle}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_disturbs_no_other_client() {
    let app = started().await;
    let alice = app.user("alice").await;
    for (url, path) in [(&app.url, "/api/auth/me"), (&app.health_url, "/health")] {
        let whole = head("GET", path, &[]);
        let (first, second) = whole.split_at(whole.len() / 2);
        let mut half = connect(url).await;
        half.write_all(first.as_bytes()).await.unwrap();
        let silent = connect(url).await;
        assert_eq!(alice.me().await.status, 200);
        assert_eq!(app.health().await.status, 200);
        half.write_all(second.as_bytes()).await.unwrap();
        let expected = if path == "/health" { 200 } else { 401 };
        assert_eq!(answer(half).await.status, expected);
        drop(silent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disconnects_disturbs_no_other_client() {
    let app = started().await;
    let alice = app.user("alice").await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "1000")];
    for url in [&app.url, &app.health_url] {
        let mut gone = connect(url).await;
        let begun = head("POST", "/api/auth/register", &headers) + "{\"email\":";
        gone.write_all(begun.as_bytes()).await.unwrap();
        drop(gone);
        let garbage = exchange(url, b"\x16\x03\x01 no HTTP at all\r\n\r\n").await;
        assert_eq!(garbage.status, 400);
        assert_eq!(alice.me().await.status, 200);
        assert_eq!(app.health().await.status, 200);
    }
}
