//! The account page as it is served; `tests/browser` tests what it does.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::json;

use super::started;
use crate::harness::actor::send;
use crate::harness::{Answer, Composition, Setup};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The largest size of the whole page in bytes, compressed as browsers receive it.
const MOST: usize = 30_000;

/// Returns every file of the page by its path, with its content.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if name == "index.html" { "/".to_owned() } else { format!("/web/{name}") };
        (path, fs::read_to_string(entry.path()).unwrap())
    });
    files.collect()
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        None => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => JAVASCRIPT,
        Some("svg") => "image/svg+xml",
        Some(other) => panic!("{other}"),
    }
}

fn assert_served(answer: &Answer, path: &str, content: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, content), "{path}");
    for (name, value) in [
        ("content-type", content_type(path)),
        ("cache-control", "no-cache"),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{path} {name}");
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{path} {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_the_page_is_served_unchanged() {
    let app = started().await;
    let anonymous = app.anonymous();
    let files = files();
    assert!(files.iter().any(|(path, _)| path == "/"));
    for (path, content) in &files {
        assert_served(&anonymous.get(path).await, path, content);
    }
    let mut weight = 0;
    for (path, _) in &files {
        let request = anonymous.request(Method::GET, path).header("accept-encoding", "gzip");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
        weight += response.bytes().await.unwrap().len();
    }
    assert!(weight < MOST, "the page weighs {weight} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_file_is_not_sent_again() {
    let app = started().await;
    let anonymous = app.anonymous();
    for path in ["/", "/web/account.js"] {
        let tag = anonymous.get(path).await.header("etag").unwrap().to_owned();
        let request = anonymous.request(Method::GET, path);
        let again = send(request.header("if-none-match", &tag)).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(tag.as_str()), "{path}");
        let request = anonymous.request(Method::GET, path);
        assert_eq!(send(request.header("if-none-match", "\"old\"")).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_file_is_served() {
    let app = started().await;
    let anonymous = app.anonymous();
    for path in
        ["/web", "/web/", "/web/index.html", "/web/nothing.js", "/web/../Cargo.toml", "/web/%ff"]
    {
        let answer = anonymous.get(path).await;
        answer.assert_error(404, "not_found", "Not Found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_can_be_disabled() {
    let app = Setup::new(Composition::Embedded).with("WEB_PAGE", "off").start().await;
    for path in ["/", "/web/account.js"] {
        app.anonymous().get(path).await.assert_error(404, "not_found", "Not Found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_receives_the_settings_of_the_operator() {
    let without = started().await;
    let answer = without.anonymous().get("/web/settings.json").await;
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let sandbox = answer.json()["sandbox"].clone();
    assert_eq!(answer.json(), json!({ "app_base_url": null, "sandbox": sandbox }));

    let app = Setup::new(Composition::Embedded)
        .with("APP_BASE_URL", "https://explore.example.com/app")
        .start()
        .await;
    let answer = app.anonymous().get("/web/settings.json").await;
    assert_eq!(answer.json()["app_base_url"], "https://explore.example.com/app");
}

#[test]
fn every_module_of_the_page_is_fetched_at_once() {
    let page = include_str!("../../../web/index.html");
    for (path, _) in files().iter().filter(|(path, _)| content_type(path) == JAVASCRIPT) {
        let path = path.trim_start_matches('/');
        let is_named = |before: &str| page.contains(&format!("{before}=\"{path}\""));
        assert!(is_named("modulepreload\" href") || is_named("src"), "{path}");
    }
}
