//! Whether the way to the stores is encrypted, and whom it trusts.

use std::path::PathBuf;

use discogsography_api::config::PostgresTls;
use tempfile::TempDir;

use super::super::{assert_problem, loaded, names_of_problems};
use super::{WHOLE, servers};

/// A root certificate of nobody, good until 2126.
const ROOT: &str = include_str!("root.pem");

fn file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.crt");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// [`WHOLE`] with these.
fn with<'a>(variables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&WHOLE[..], variables].concat()
}

/// A word for what these make of PostgreSQL.
fn tls(variables: &[(&str, &str)]) -> &'static str {
    match &servers(&loaded(&with(variables))).0.tls {
        PostgresTls::Disable => "disable",
        PostgresTls::Prefer => "prefer",
        PostgresTls::Require => "require",
        PostgresTls::VerifyCa(_) => "verify-ca",
        PostgresTls::VerifyFull(None) => "verify-full by the system",
        PostgresTls::VerifyFull(Some(_)) => "verify-full",
    }
}

#[test]
fn sslmode_has_the_words_of_libpq() {
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
        (vec![mode("verify-full")], "verify-full by the system"),
        (vec![mode("verify-full"), system], "verify-full by the system"),
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
fn a_root_certificate_is_looked_at_before_anything_is_opened() {
    let mode = ("POSTGRES_SSLMODE", "verify-full");
    assert_problem(
        &with(&[mode, ("POSTGRES_SSLROOTCERT", "/nowhere/root.crt")]),
        "POSTGRES_SSLROOTCERT `/nowhere/root.crt` can't be read: No such file or directory (os \
         error 2) (for example: /etc/discogsography-api/root.crt)",
    );
    let broken = ROOT.replacen("MII", "QQQ", 1);
    for content in ["", "no certificate", &broken, &ROOT.replace("CERTIFICATE", "PUBLIC KEY")] {
        let (_folder, path) = file(content);
        let root = ("POSTGRES_SSLROOTCERT", path.to_str().unwrap());
        assert_eq!(names_of_problems(&with(&[mode, root])), [root.0], "{content}");
    }
}

#[test]
fn a_root_certificate_for_redis_needs_a_redis_that_is_encrypted() {
    let (_folder, path) = file(ROOT);
    let root = ("REDIS_SSLROOTCERT", path.to_str().unwrap());
    assert_eq!(names_of_problems(&with(&[root])), ["REDIS_SSLROOTCERT"]);
    let mut variables = with(&[root]);
    variables[4].1 = "rediss://cache.example.com";
    assert!(servers(&loaded(&variables)).1.roots.is_some());
    variables[6].1 = "/nowhere";
    assert_eq!(names_of_problems(&variables), ["REDIS_SSLROOTCERT"]);
}
