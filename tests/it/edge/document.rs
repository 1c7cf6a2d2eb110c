//! The document of the API, and the two pages that show it.

use std::collections::BTreeSet;

use discogsography_api::server::openapi_document;
use reqwest::Method;

use super::started;
use crate::harness::actor::send;
use crate::harness::document::document;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Routes for people: the account page, and the pages of the documentation; and one that is on the
/// health port alone.
const NOT_DESCRIBED: [&str; 7] =
    ["/", "/docs", "/docs/{file}", "/metrics", "/openapi.json", "/redoc", "/web/{file}"];

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
    for (path, content_type, is_compressed) in [
        ("/docs", "text/html; charset=utf-8", false),
        ("/redoc", "text/html; charset=utf-8", false),
        ("/docs/favicon.svg", "image/svg+xml", false),
        ("/docs/redoc.css", "text/css; charset=utf-8", false),
        ("/docs/redoc.js", "text/javascript; charset=utf-8", false),
        ("/docs/redoc.standalone.js", "text/javascript; charset=utf-8", true),
        ("/docs/swagger.js", "text/javascript; charset=utf-8", false),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", true),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", true),
    ] {
        // The client takes no encoding on its own, so what comes is what was sent.
        let response = anonymous.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some(content_type), "{path}");
        assert_eq!(header("content-security-policy"), Some(POLICY), "{path}");
        assert_eq!(header("content-encoding"), is_compressed.then_some("gzip"), "{path}");
        assert_eq!(header("cache-control"), Some("no-cache"), "{path}");
        let is_gzip = response.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]);
        assert_eq!(is_gzip, is_compressed, "{path}");
    }
    for path in ["/docs/", "/docs/nothing.js", "/redoc/redoc.js", "/docs/%ff"] {
        anonymous.get(path).await.assert_error(404, "not_found", "Not Found");
    }
}
