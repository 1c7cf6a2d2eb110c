//! Calls to Discogs: through a proxy, and checked against root certificates.

use crate::harness::{Program, Service, TunnelProxy, certificate, free_port, tls_server};

const REQUEST_TOKEN: &str = "oauth_token=from-the-far-end&oauth_token_secret=secret";

/// `digger:s3cret` in Base64.
const AUTHORIZATION: &str = "Basic ZGlnZ2VyOnMzY3JldA==";

/// A program with Discogs at this port of `localhost`, behind this proxy.
fn program(port: &str, proxy: &TunnelProxy) -> Program {
    let program = Program::new()
        .with("DISCOGS_API_URL", &format!("https://localhost:{port}"))
        .with("HTTPS_PROXY", &format!("http://digger:s3cret@{}", proxy.address))
        .with("SSL_CERT_FILE", &certificate("ca.pem"))
        .with("LOG_LEVEL", "TRACE");
    let set = ["discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret"];
    assert_eq!(program.run(&set).code, Some(0));
    program
}

/// Stops the service, whose log must not contain the proxy's password.
fn end(service: Service) {
    let said = service.end("TERM").stderr;
    assert!(!said.contains("s3cret") && !said.contains("ZGlnZ2VyOnMzY3JldA"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the certificates of scripts/test"]
async fn discogs_is_called_through_the_proxy() {
    let discogs = tls_server(REQUEST_TOKEN).await;
    let proxy = TunnelProxy::leading_to(Some(discogs)).await;
    // Nothing listens there, so a direct connection fails.
    let port = free_port().to_string();
    let program = program(&port, &proxy);
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(alice.start().await, "from-the-far-end");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    let head = heads[0].to_lowercase();
    assert!(head.starts_with(&format!("connect localhost:{port} http/1.1\r\n")), "{head}");
    let authorization = format!("proxy-authorization: {AUTHORIZATION}").to_lowercase();
    assert!(head.contains(&authorization), "{head}");
    for told_to_discogs_alone in ["oauth", "request_token"] {
        assert!(!head.contains(told_to_discogs_alone), "{head}");
    }
    end(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the certificates of scripts/test"]
async fn a_host_that_is_excepted_is_called_directly() {
    let discogs = tls_server(REQUEST_TOKEN).await;
    let proxy = TunnelProxy::leading_to(None).await;
    let (_, port) = discogs.split_once(':').unwrap();
    let program = program(port, &proxy).with("NO_PROXY", "example.com,localhost");
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(alice.start().await, "from-the-far-end");
    assert_eq!(proxy.heads(), [""; 0]);
    end(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the certificates of scripts/test"]
async fn a_proxy_that_refuses_is_a_discogs_that_is_away() {
    let proxy = TunnelProxy::leading_to(None).await;
    let program = program(&free_port().to_string(), &proxy);
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    let refused = alice.authorize().await;
    assert_eq!((refused.status, &refused.json()["code"]), (502, &"discogs_unavailable".into()));
    end(service);
}

/// Discogs's real certificate is not available; any other one is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the certificates of scripts/test"]
async fn without_root_certificates_the_programs_own_count() {
    let discogs = tls_server(REQUEST_TOKEN).await;
    let proxy = TunnelProxy::leading_to(Some(discogs)).await;
    let program = program("443", &proxy).with("SSL_CERT_FILE", "/nowhere/certificates");
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(alice.authorize().await.json()["code"], "discogs_unavailable");
    let said = service.end("TERM").stderr;
    assert_eq!(said.matches("This system has no root certificates").count(), 1, "{said}");
    assert_eq!(said.matches("⚠️ SSL_CERT_FILE (not shown) can't be read").count(), 1, "{said}");
}
