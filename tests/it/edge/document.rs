//! The OpenAPI document, and the two pages that show it.

use std::io::Read as _;

use discogsography_api::http::openapi_document;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::started;
use crate::harness::Actor;
use crate::harness::actor::send;
use crate::harness::document::document;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The files of both pages, with their content types.
const FILES: [(&str, &str); 9] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/redoc", "text/html; charset=utf-8"),
    ("/docs/favicon.svg", "image/svg+xml"),
    ("/docs/pages.css", "text/css; charset=utf-8"),
    ("/docs/redoc.js", "text/javascript; charset=utf-8"),
    ("/docs/redoc.standalone.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
];

const GZIP: Option<&str> = Some("gzip");

/// A file as it was sent.
struct Fetched {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Fetches a file; the test client adds no `Accept-Encoding` and decodes nothing.
async fn fetch(actor: &Actor, path: &str, encoding: Option<&str>) -> Fetched {
    let mut request = actor.request(Method::GET, path);
    if let Some(encoding) = encoding {
        request = request.header("accept-encoding", encoding);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    Fetched { headers, body: response.bytes().await.unwrap().to_vec() }
}

fn decompressed(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn the_committed_document_is_up_to_date() {
    let committed = include_str!("../../../docs/openapi.json");
    assert!(
        committed == openapi_document(),
        "stale: run `cargo run -- openapi > docs/openapi.json`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_and_its_pages_are_served() {
    let app = started().await;
    let anonymous = app.anonymous();
    let served = anonymous.get("/openapi.json").await;
    assert_eq!((served.status, served.body.as_str()), (200, openapi_document()));
    assert_eq!(served.header("content-type"), Some("application/json"));
    for (path, content_type) in FILES {
        let (plain, gzip) =
            (fetch(&anonymous, path, None).await, fetch(&anonymous, path, GZIP).await);
        for (answer, encoding) in [(&plain, None), (&gzip, GZIP)] {
            assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
            assert_eq!(answer.header("content-security-policy"), Some(POLICY), "{path}");
            assert_eq!(answer.header("content-encoding"), encoding, "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path}");
        }
        assert_eq!(decompressed(&gzip.body), plain.body, "{path}");
        assert_ne!(plain.header("etag"), gzip.header("etag"), "{path}");
        let again = anonymous.request(Method::GET, path).header("accept-encoding", "gzip");
        let again = send(again.header("if-none-match", gzip.header("etag").unwrap())).await;
        assert_eq!((again.status, again.header("vary")), (304, Some("Accept-Encoding")), "{path}");
    }
    for path in ["/docs/nothing.js", "/redoc/redoc.js", "/docs/%ff"] {
        anonymous.get(path).await.assert_error(404, "not_found", "Not Found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trailing_slash_redirects_to_the_page() {
    let app = started().await;
    for (path, page) in [("/docs/", "/docs"), ("/redoc/", "/redoc")] {
        let page = app.anonymous().get(page).await;
        let led_to = app.anonymous().get(path).await;
        assert_eq!((led_to.status, led_to.body), (200, page.body), "{path}");
    }
}

#[test]
fn every_reference_of_the_pages_is_relative() {
    for page in [
        include_str!("../../../web/index.html"),
        include_str!("../../../api-docs/swagger.html"),
        include_str!("../../../api-docs/redoc.html"),
    ] {
        let references: Vec<_> = page
            .split(['"', '\''])
            .zip(page.split(['"', '\'']).skip(1))
            .filter(|(before, _)| before.ends_with("href=") || before.ends_with("src="))
            .map(|(_, reference)| reference)
            .collect();
        assert!(references.len() > 4, "{references:?}");
        let absolute: Vec<_> = references.iter().filter(|it| it.starts_with('/')).collect();
        assert_eq!(absolute, Vec::<&&str>::new());
    }
    assert_eq!(document()["servers"][0]["url"], ".");
}

#[test]
fn operations_without_a_requirement_declare_it() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["security"].is_array(), "{method} {path}");
        }
    }
}

#[test]
fn closed_sets_of_values_are_listed() {
    let schemas = &document()["components"]["schemas"];
    let words = |pointer: &str| schemas.pointer(pointer).unwrap()["enum"].clone();
    assert_eq!(words("/InvalidInput/properties/code"), json!(["invalid_input"]));
    assert_eq!(words("/AccessToken/properties/token_type"), json!(["bearer"]));
    let keys = json!(["discogs_consumer_key", "discogs_consumer_secret"]);
    assert_eq!(words("/ConfigEntry/properties/key"), keys);
    assert_eq!(words("/KnownConfigKey/properties/key"), keys);
    for method in ["put", "delete"] {
        let operation = &document()["paths"]["/api/admin/config/{key}"][method];
        assert_eq!(operation["parameters"][0]["schema"]["enum"], keys, "{method}");
    }
    let codes = words("/Error/properties/code");
    assert!(!codes.as_array().unwrap().contains(&json!("invalid_input")), "{codes}");
}

#[test]
fn operations_list_only_the_errors_that_they_return() {
    let login = &document()["paths"]["/api/auth/login"]["post"]["responses"];
    let retry_after = |response: &Value| response["headers"]["Retry-After"]["description"].clone();
    assert_eq!(retry_after(&login["429"]), "Seconds to wait.");
    let refused = login["401"]["description"].as_str().unwrap();
    assert_eq!(refused, "`invalid_credentials`: Incorrect email or password.");
    let start = &document()["paths"]["/api/oauth/authorize/discogs"]["get"]["responses"];
    assert!(retry_after(&start["503"]).as_str().unwrap().contains("`discogs_not_configured`"));
    let register = &document()["paths"]["/api/auth/register"]["post"]["responses"];
    assert_eq!(retry_after(&register["503"]), "Seconds to wait.");
}

/// Returns method, path, token and success of each row of the table in docs/http-api.md.
fn documented_routes() -> Vec<[String; 4]> {
    let page = include_str!("../../../docs/http-api.md");
    let rows = page.lines().filter(|line| line.starts_with("| [`") || line.starts_with("| `"));
    let mut routes = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, route, token, _, success, _] = cells[..] else { continue };
        let mut texts = route.split('`').skip(1).step_by(2);
        let Some((method, first)) = texts.next().and_then(|text| text.split_once(' ')) else {
            continue;
        };
        for path in std::iter::once(first).chain(texts) {
            let success = success.get(..3).unwrap_or_default();
            routes.push([method, path, token, success].map(str::to_owned));
        }
    }
    routes
}

#[test]
fn the_guide_lists_every_operation() {
    let documented = documented_routes();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let token = match operation["security"].as_array().unwrap()[..] {
                [] => "–",
                _ if path.starts_with("/api/admin/") => "admin",
                _ => "user",
            };
            let responses = operation["responses"].as_object().unwrap();
            let success = responses.keys().find(|status| status.starts_with('2')).unwrap();
            let row = [&method.to_uppercase(), path, token, success].map(str::to_owned);
            assert!(documented.contains(&row), "{row:?}");
        }
    }
}
