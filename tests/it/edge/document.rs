//! The document of the API, and the two pages that show it.

use std::collections::BTreeSet;
use std::io::Read as _;

use discogsography_api::server::openapi_document;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::started;
use crate::harness::Actor;
use crate::harness::actor::send;
use crate::harness::document::document;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Routes for people: the account page, and the pages of the documentation; and one that is on the
/// health port alone.
const NOT_DESCRIBED: [&str; 7] =
    ["/", "/docs", "/docs/{file}", "/metrics", "/openapi.json", "/redoc", "/web/{file}"];

/// What both pages are made of, with its content type.
const FILES: [(&str, &str); 9] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/redoc", "text/html; charset=utf-8"),
    ("/docs/favicon.svg", "image/svg+xml"),
    ("/docs/redoc.css", "text/css; charset=utf-8"),
    ("/docs/redoc.js", "text/javascript; charset=utf-8"),
    ("/docs/redoc.standalone.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
];

const GZIP: Option<&str> = Some("gzip");

/// A file as it is sent.
struct Fetched {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The test client neither asks for an encoding by itself nor decodes one.
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
fn the_committed_document_is_the_one_that_the_program_prints() {
    let committed = include_str!("../../../docs/openapi.json");
    assert!(
        committed == openapi_document(),
        "stale: cargo run -- openapi > docs/openapi.json makes it anew"
    );
}

#[test]
fn every_route_is_described() {
    let source = include_str!("../../../src/http.rs");
    let routes: BTreeSet<_> = source
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    let described = document()["paths"].as_object().unwrap().keys().map(String::as_str);
    let expected: BTreeSet<_> = described.chain(NOT_DESCRIBED).collect();
    assert_eq!(routes, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_described() {
    let app = started().await;
    let anonymous = app.anonymous();
    for (template, item) in document()["paths"].as_object().unwrap() {
        let path = template.replace("{key}", "discogs_consumer_key");
        let refused = send(anonymous.request(Method::PATCH, &path)).await;
        refused.assert_error(405, "method_not_allowed", "Method Not Allowed");
        let allowed: BTreeSet<_> = refused.header("allow").unwrap().split(',').collect();
        let described: BTreeSet<_> =
            item.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()).collect();
        let described = described.iter().map(String::as_str).collect::<BTreeSet<_>>();
        let without_head: BTreeSet<_> =
            allowed.iter().copied().filter(|method| *method != "HEAD").collect();
        assert_eq!(without_head, described, "{template}");
    }
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
    for path in ["/docs/", "/docs/nothing.js", "/redoc/redoc.js", "/docs/%ff"] {
        anonymous.get(path).await.assert_error(404, "not_found", "Not Found");
    }
}
