//! Discogs is unavailable, blocks the service or rejects the app; a wrong clock; no TLS.

use std::time::Duration;

use discogs_sandbox::{Fault, Step};

use crate::harness::{Composition, Program, free_port};

use super::scene::{self, Scene};

async fn embedded() -> Scene {
    Scene::new(Composition::Embedded).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_token_is_requested() {
    let scene = embedded().await;
    scene.finding("app_credentials", "ok");
    assert_eq!(scene.sandbox.calls(Step::RequestToken).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_app_credentials_are_found() {
    let scene = embedded().await;
    scene.set_credentials("canary-wrong-secret");
    let finding = scene.finding("app_credentials", "error");
    assert_eq!(finding["what"], "Discogs refuses the app's credentials (status 401)");
    assert!(finding["fix"].as_str().unwrap().contains("`discogsography-api discogs-setup"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_of_discogs_is_explained() {
    let scene = embedded().await;
    for (fault, severity, words) in [
        (Fault::block_page(403), "error", "A page in front of Discogs blocks this machine"),
        (
            Fault::rate_limited(Some("17")),
            "warning",
            "Discogs has limited this address: retry after 17 s",
        ),
        (Fault::server_error(), "error", "Discogs does not answer: discogs is unavailable"),
        (Fault::Reset, "error", "Discogs does not answer: discogs is unavailable"),
        (Fault::Hang, "error", "Discogs does not answer: discogs is unavailable"),
    ] {
        scene.sandbox.order(Step::RequestToken, fault);
        let finding = scene.finding("app_credentials", severity);
        assert!(finding["what"].as_str().unwrap().starts_with(words), "{finding:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unavailable_discogs_does_not_prevent_other_checks() {
    let nowhere = format!("https://127.0.0.1:{}", free_port());
    for (url, words) in [
        (nowhere.as_str(), "Nothing listens at 127.0.0.1:"),
        ("https://discogs.invalid", "The name `discogs.invalid` of Discogs does not resolve"),
    ] {
        let scene = embedded().await.with("DISCOGS_API_URL", url);
        let (code, report) = scene.doctor();
        assert_eq!(code, Some(1));
        let finding = scene::finding(&report, "discogs", "error");
        assert!(finding["what"].as_str().unwrap().starts_with(words), "{finding:#}");
        scene::finding(&report, "app_credentials", "note");
        scene::finding(&report, "schema", "ok");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_option_is_suggested_if_only_the_sandbox_was_used() {
    const ADVICE: &str = ". If you only use the sandbox, run `discogsography-api doctor --sandbox`";
    let nowhere = format!("https://127.0.0.1:{}", free_port());
    let program = Program::new().with("DISCOGS_API_URL", &nowhere);
    let is_advised = || {
        let report = scene::report(&program.run(&["doctor", "--json"]));
        let fix = scene::finding(&report, "discogs", "error")["fix"].clone();
        fix.as_str().unwrap().ends_with(ADVICE)
    };
    assert!(!is_advised());
    std::fs::create_dir_all(program.data("sandbox")).unwrap();
    assert!(is_advised());
    drop(program.serve(&["serve"]));
    assert!(!is_advised());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_explained() {
    let scene = embedded().await;
    let url = scene.sandbox.url().replace("http://", "https://");
    let what = scene.with("DISCOGS_API_URL", &url).finding("discogs", "error")["what"].to_string();
    assert!(what.contains(": the server does not speak TLS"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_reported_in_seconds() {
    for (by, severity, credentials) in [(100, "warning", "ok"), (900, "error", "error")] {
        let scene = Scene::with_discogs_ahead(Duration::from_secs(by)).await;
        let (_, report) = scene.doctor();
        let finding = scene::finding(&report, "clock", severity);
        let seconds = finding["measured"]["seconds"].as_i64().unwrap();
        // The calls themselves take some time.
        assert!(seconds.unsigned_abs().abs_diff(by) <= 2 && seconds < 0, "{finding:#}");
        let words = format!("The clock of this machine is {} s behind that of Discogs", -seconds);
        assert!(finding["what"].as_str().unwrap().starts_with(&words), "{finding:#}");
        scene::finding(&report, "app_credentials", credentials);
    }
}
