//! `doctor`: its findings and exit codes, and that it changes nothing.

mod databases;
mod discogs;
mod harmless;
mod hostile;
mod keys;
mod redis;
mod rights;
pub(crate) mod scene;
mod secrets;

use discogsography_api::doctor::{Area, Check};
use serde_json::json;

use crate::harness::{Program, Setup, on_both_setups};
use scene::Scene;

on_both_setups! {
    every_finding_of_a_healthy_setup_is_ok,
}

async fn every_finding_of_a_healthy_setup_is_ok(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    let (code, report) = scene.doctor();
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(
        (&report["severity"], &report["is_configuration_usable"]),
        (&json!("ok"), &json!(true)),
        "{report:#}"
    );
    let findings = report["findings"].as_array().unwrap();
    let checks: Vec<_> =
        findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let stores: &[&str] = if scene.stores.servers.is_some() {
        &["store_passwords", "database", "schema", "redis", "redis_memory", "python_compat"]
    } else {
        &["service", "database", "schema", "integrity", "data_dir", "disk_space"]
    };
    let before: &[&str] = &["variables", "jwt_secret", "encryption_key", "stored_secrets"];
    let after = &["discogs", "clock", "app_credentials"];
    assert_eq!(checks, [before, stores, after].concat());
    for finding in findings {
        assert_eq!((&finding["severity"], &finding["fix"]), (&json!("ok"), &json!(null)));
    }
    let pretty = scene.program.run(&["doctor"]);
    assert_eq!((pretty.code, pretty.stderr.as_str()), (Some(0), ""), "{pretty:?}");
    let last = pretty.stdout.lines().next_back().unwrap();
    assert!(last.ends_with(" ok.") && !pretty.stdout.contains("ERROR"), "{}", pretty.stdout);
}

#[test]
fn every_problem_of_an_invalid_configuration_is_reported() {
    let program = Program::new().with("API_PORT", "eighty").with("POSTGRES_HOST", "db.example.com");
    let outcome = program.run(&["doctor", "--json"]);
    let error = "error: the configuration is invalid; the report says what to do\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(2), error));
    let mut report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    for missing in ["USERNAME", "PASSWORD", "DATABASE"] {
        assert!(outcome.stdout.contains(&format!("\"POSTGRES_{missing} is missing")), "{report:#}");
    }
    let findings = report["findings"].as_array_mut().unwrap();
    let (first, last) = (findings.remove(0), findings.pop().unwrap());
    assert_eq!(first["severity"], "error");
    assert_eq!(
        last,
        json!({
            "check": "variables",
            "severity": "note",
            "what": "The stores, the disk and Discogs were not checked",
            "fix": "They need a valid configuration: fix it first",
            "measured": null,
        })
    );
    report.as_object_mut().unwrap().remove("findings");
    report["timestamp"].take();
    assert_eq!(
        report,
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "timestamp": null,
            "severity": "error",
            "is_configuration_usable": false,
        })
    );
    let pretty = program.run(&["doctor"]);
    assert_eq!(pretty.code, Some(2));
    assert!(
        pretty.stdout.contains("\n  ERROR    API_PORT `eighty` is not a port"),
        "{}",
        pretty.stdout
    );
    assert!(program.left_nothing());
}

#[test]
fn warnings_of_a_start_are_findings() {
    let program = Program::new()
        .with("RATE_LIMITS", "off")
        .with("TRUSTED_PROXIES", "0.0.0.0/0")
        .with("DISCOGS_API_URL", "https://127.0.0.1:1");
    let report = scene::report(&program.run(&["doctor", "--json"]));
    let limits = scene::finding(&report, "variables", "warning");
    assert_eq!(limits["what"], "RATE_LIMITS is off: nothing slows down guessing passwords");
    let proxies = scene::finding(&report, "trusted_proxies", "warning");
    assert!(proxies["fix"].as_str().unwrap().contains("TRUSTED_PROXIES=10.0.0.0/8"));
    let program =
        Program::new().with("API_HOST", "0.0.0.0").with("DISCOGS_API_URL", "https://127.0.0.1:1");
    let report = scene::report(&program.run(&["doctor", "--json"]));
    scene::finding(&report, "trusted_proxies", "note");
}

#[test]
fn the_documentation_names_every_check() {
    let page = include_str!("../../../docs/operations/troubleshooting.md");
    for check in Check::ALL {
        let name = serde_json::to_value(check).unwrap();
        let row = format!("| `{}` |", name.as_str().unwrap());
        assert!(page.contains(&row), "{row}");
        assert!(Area::ALL.contains(&check.area()));
    }
}
