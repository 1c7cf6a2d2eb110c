//! How connections to the stores are encrypted, and which certificates they trust.

use std::path::PathBuf;

use discogsography_api::config::PostgresTls;
use tempfile::TempDir;

use super::super::{assert_problem, load, loaded, names_of_problems};
use super::{COMPLETE, servers};

/// A root certificate that is used for nothing else, valid until 2126.
const ROOT: &str = include_str!("root.pem");

fn file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.crt");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// Returns a complete configuration, plus these variables.
fn with<'a>(variables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&COMPLETE[..], variables].concat()
}

/// Returns the name of the TLS mode that these variables select.
fn tls(variables: &[(&str, &str)]) -> &'static str {
    match &servers(&loaded(&with(variables))).0.tls {
        PostgresTls::Disable => "disable",
        PostgresTls::Prefer => "prefer",
        PostgresTls::Require => "require",
        PostgresTls::VerifyCa(_) => "verify-ca",
        PostgresTls::VerifyFull(None) => "verify-full, system roots",
        PostgresTls::VerifyFull(Some(_)) => "verify-full",
    }
}

#[test]
fn sslmode_accepts_the_values_of_libpq() {
    let (_folder, path) = file(ROOT);
    let root = ("POSTGRES_SSLROOTCERT", path.to_str().unwrap());
    let system = ("POSTGRES_SSLROOTCERT", "system");
    let mode = |word| ("POSTGRES_SSLMODE", word);
    for (variables, expected) in [
        (vec![], "disable"),
        (vec![mode("disable")], "disable"),
        (vec![mode("prefer")], "prefer"),
        (vec![mode("require")], "require"),
        (vec![mode("require"), root], "verify-ca"),
        (vec![mode("verify-ca"), root], "verify-ca"),
        (vec![mode("verify-full"), root], "verify-full"),
        (vec![mode("verify-full")], "verify-full, system roots"),
        (vec![mode("verify-full"), system], "verify-full, system roots"),
        (vec![("DATABASE_URL", "postgres://?sslmode=require")], "require"),
        (vec![("DATABASE_URL", "postgres://?sslmode=prefer"), mode("prefer")], "prefer"),
    ] {
        assert_eq!(tls(&variables), expected, "{variables:?}");
    }
    for (variables, name) in [
        (vec![mode("allow")], "POSTGRES_SSLMODE"),
        (vec![mode("verify")], "POSTGRES_SSLMODE"),
        (vec![("DATABASE_URL", "postgres://?sslmode=on")], "DATABASE_URL"),
        (vec![("DATABASE_URL", "postgres://?sslmode=prefer"), mode("require")], "DATABASE_URL"),
        (vec![root], "POSTGRES_SSLROOTCERT"),
        (vec![mode("prefer"), root], "POSTGRES_SSLROOTCERT"),
        (vec![mode("verify-ca")], "POSTGRES_SSLROOTCERT"),
        (vec![mode("verify-ca"), system], "POSTGRES_SSLROOTCERT"),
        (vec![("DATABASE_URL", "postgres://?sslrootcert=/x")], "DATABASE_URL"),
    ] {
        assert_eq!(names_of_problems(&with(&variables)), [name], "{variables:?}");
    }
}

#[test]
fn a_root_certificate_is_checked_before_anything_is_opened() {
    let mode = ("POSTGRES_SSLMODE", "verify-full");
    assert_problem(
        &with(&[mode, ("POSTGRES_SSLROOTCERT", "/nowhere/root.crt")]),
        "POSTGRES_SSLROOTCERT (not shown) can't be read: No such file or directory (os error 2) \
         (for example: /etc/discogsography-api/root.crt)",
    );
    let broken = ROOT.replacen("MII", "QQQ", 1);
    for content in ["", "no certificate", &broken, &ROOT.replace("CERTIFICATE", "PUBLIC KEY")] {
        let (_folder, path) = file(content);
        let root = ("POSTGRES_SSLROOTCERT", path.to_str().unwrap());
        assert_eq!(names_of_problems(&with(&[mode, root])), [root.0], "{content}");
    }
}

/// Two lines of a private key, as in a PEM file.
const KEY_LINES: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgczNjcmV0a2V5";

#[test]
fn no_content_of_a_certificate_file_is_shown() {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{KEY_LINES}\n-----END PRIVATE KEY-----\n");
    let second = ROOT.lines().count() + 1;
    for (content, what) in [
        (key.clone(), "it holds no certificate in PEM form".to_owned()),
        (
            key.replace('\n', "\\n"),
            "line 1 holds more than `-----BEGIN …-----`; are the line breaks lost, or written as \
             `\\n`?"
                .to_owned(),
        ),
        (
            format!("{ROOT}{}", key.replace('\n', "")),
            format!(
                "line {second} holds more than `-----BEGIN …-----`; are the line breaks lost, or \
                 written as `\\n`?"
            ),
        ),
        (
            format!("{ROOT}{}", key.replace("MIGH", "MI*H")),
            format!("the section that begins in line {second} is malformed"),
        ),
        (
            format!("{ROOT}-----BEGIN PRIVATE KEY-----\n{KEY_LINES}"),
            format!("the section that begins in line {second} has no END line"),
        ),
    ] {
        let (_folder, path) = file(&content);
        let path = path.to_str().unwrap();
        let mode = ("POSTGRES_SSLMODE", "verify-full");
        let example = "(for example: /etc/discogsography-api/root.crt)";
        assert_problem(
            &with(&[mode, ("POSTGRES_SSLROOTCERT", path)]),
            &format!("POSTGRES_SSLROOTCERT `{path}` can't be used: {what} {example}"),
        );
        let url = format!("postgres://db.example.com?sslmode=verify-full&sslrootcert={path}");
        let sentence =
            format!("DATABASE_URL has an sslrootcert that can't be used: {what} {example}");
        assert_problem(&with(&[("DATABASE_URL", &url)]), &sentence);
        let mut variables = with(&[("REDIS_SSLROOTCERT", path)]);
        variables[4].1 = "rediss://cache.example.com";
        let sentence = format!("REDIS_SSLROOTCERT `{path}` can't be used: {what} {example}");
        assert_problem(&variables, &sentence);
    }
    // The content of the file in place of its path.
    let pasted = with(&[("POSTGRES_SSLMODE", "verify-full"), ("POSTGRES_SSLROOTCERT", &key)]);
    let text = load(&pasted).unwrap_err().to_string();
    assert!(!text.contains("MIGH") && !text.contains("PRIVATE"), "{text}");
}

#[test]
fn only_the_certificates_of_a_file_are_kept() {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{KEY_LINES}\n-----END PRIVATE KEY-----\n");
    let (_folder, path) = file(&format!("{key}{ROOT}"));
    let mut variables = with(&[("REDIS_SSLROOTCERT", path.to_str().unwrap())]);
    variables[4].1 = "rediss://cache.example.com";
    let config = loaded(&variables);
    let pem = &servers(&config).1.roots.as_ref().unwrap().pem;
    let pem = String::from_utf8(pem.clone()).unwrap();
    assert_eq!(pem.matches("-----BEGIN").count(), 1, "{pem}");
    assert!(!pem.contains("PRIVATE"), "{pem}");
}

#[test]
fn a_root_certificate_for_redis_needs_a_rediss_url() {
    let (_folder, path) = file(ROOT);
    let root = ("REDIS_SSLROOTCERT", path.to_str().unwrap());
    assert_eq!(names_of_problems(&with(&[root])), ["REDIS_SSLROOTCERT"]);
    let mut variables = with(&[root]);
    variables[4].1 = "rediss://cache.example.com";
    assert!(servers(&loaded(&variables)).1.roots.is_some());
    variables[6].1 = "/nowhere";
    assert_eq!(names_of_problems(&variables), ["REDIS_SSLROOTCERT"]);
}
