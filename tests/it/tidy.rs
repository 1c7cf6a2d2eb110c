//! The source tree: which modules may import which, and what every file must have.

use std::fs;
use std::path::{Path, PathBuf};

/// The imports that each module is allowed; ARCHITECTURE.md has the same as a table.
///
/// `server`, `doctor` and `cli` assemble the other modules.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    ("surroundings", &["clock", "random"]),
    ("model", &["clock"]),
    ("config", &["model", "pem"]),
    ("telemetry", &["clock", "config"]),
    ("migrations", &[]),
    ("panics", &[]),
    ("outage", &["clock", "telemetry"]),
    ("threads", &[]),
    ("pem", &[]),
    ("metrics", &["clock", "discogs", "rate_limits", "telemetry"]),
    ("keyring", &["clock", "metrics", "random"]),
    ("keys", &["keyring", "storage"]),
    ("accounts", &["config", "metrics", "model", "outage", "panics", "random", "storage"]),
    ("sqlite", &["config", "metrics", "migrations"]),
    ("expiring", &["clock", "config", "sqlite", "tls"]),
    (
        "storage",
        &[
            "clock",
            "config",
            "keyring",
            "metrics",
            "migrations",
            "model",
            "outage",
            "panics",
            "random",
            "sqlite",
            "tls",
        ],
    ),
    ("flows", &["clock", "expiring", "keyring", "metrics", "model", "outage", "telemetry"]),
    ("rate_limits", &["clock", "config", "expiring", "metrics", "model", "storage", "telemetry"]),
    ("revocations", &["clock", "config", "expiring", "metrics", "outage", "panics", "telemetry"]),
    ("discogs", &["clock", "config", "metrics", "model", "random", "tls"]),
    ("tls", &["config", "pem"]),
    ("connect", &["discogs", "expiring", "flows", "model", "random", "storage", "telemetry"]),
    (
        "http",
        &[
            "accounts",
            "clock",
            "config",
            "connect",
            "discogs",
            "expiring",
            "flows",
            "metrics",
            "model",
            "panics",
            "random",
            "rate_limits",
            "revocations",
            "storage",
            "telemetry",
        ],
    ),
    (
        "server",
        &[
            "accounts",
            "clock",
            "config",
            "connect",
            "discogs",
            "expiring",
            "flows",
            "http",
            "keyring",
            "keys",
            "metrics",
            "model",
            "outage",
            "random",
            "rate_limits",
            "revocations",
            "sqlite",
            "storage",
            "surroundings",
            "telemetry",
            "threads",
            "tls",
        ],
    ),
    (
        "doctor",
        &[
            "accounts",
            "clock",
            "config",
            "discogs",
            "expiring",
            "flows",
            "keyring",
            "keys",
            "metrics",
            "migrations",
            "model",
            "rate_limits",
            "revocations",
            "sqlite",
            "storage",
            "surroundings",
            "telemetry",
            "tls",
        ],
    ),
    (
        "cli",
        &[
            "clock",
            "config",
            "doctor",
            "http",
            "keyring",
            "keys",
            "metrics",
            "model",
            "panics",
            "random",
            "server",
            "sqlite",
            "storage",
            "surroundings",
            "telemetry",
            "threads",
        ],
    ),
];

/// The maximum number of lines of a code file.
const MOST_LINES: usize = 400;

/// The maximum number of lines of a decision record.
const MOST_LINES_OF_A_DECISION: usize = 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file with this ending in a folder, with its text.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let folders = ["src", "crates", "tests", "fuzz/fuzz_targets", "fuzz/properties"];
    folders.iter().flat_map(|folder| files(&root().join(folder), "rs")).collect()
}

/// Returns the module that a file of `src` belongs to; `None` for the roots.
fn module(path: &Path) -> Option<String> {
    let relative = path.strip_prefix(root().join("src")).ok()?;
    let first = relative.components().next()?.as_os_str().to_str()?;
    let name = first.trim_end_matches(".rs");
    if ["lib", "main"].contains(&name) { None } else { Some(name.to_owned()) }
}

/// Returns the name that follows each occurrence of `before`.
fn names_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let name = |rest: &'a str| {
        let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    };
    text.split(before).skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let mut checked = 0;
    for (path, text) in files(&root().join("src"), "rs") {
        let Some(module) = module(&path) else { continue };
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is missing in the table"));
        let grouped = text.split("use crate::{").skip(1).flat_map(|rest| {
            let names = rest.split("};").next().unwrap_or_default();
            names.split(',').map(|name| name.trim().split("::").next().unwrap_or_default())
        });
        for imported in names_after(&text, "crate::").into_iter().chain(grouped) {
            let is_own = imported == module || imported.is_empty();
            assert!(is_own || allowed.contains(&imported), "{} imports {imported}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} imports were found");
}

#[test]
fn crates_know_nothing_of_the_service() {
    for (path, text) in files(&root().join("crates"), "rs") {
        assert!(!text.contains("discogsography_api"), "{}", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//! "), "{} says nothing", path.display());
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_document_has_both_sides_of_a_merge() {
    let documents = files(&root().join("docs"), "md");
    for (path, text) in &documents {
        let is_left = |line: &str| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
        assert!(!text.lines().any(is_left), "{}", path.display());
    }
    assert!(documents.len() > 20, "only {} documents were found", documents.len());
}

#[test]
fn decisions_are_short() {
    for (path, text) in files(&root().join("docs/decisions"), "md") {
        if path.ends_with("README.md") {
            continue;
        }
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES_OF_A_DECISION, "{} has {lines} lines", path.display());
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |side: &str| {
        let folder = root().join("migrations").join(side);
        let mut names: Vec<_> = files(&folder, "sql")
            .into_iter()
            .map(|(path, _)| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let listed = |list: &[discogsography_api::migrations::Migration]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names("postgres"), names("sqlite"));
    assert_eq!(names("postgres"), listed(discogsography_api::migrations::POSTGRES));
    assert_eq!(names("sqlite"), listed(discogsography_api::migrations::SQLITE));
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut pages = files(&root().join("docs"), "md");
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        let path = root().join(name);
        pages.push((path.clone(), fs::read_to_string(path).unwrap()));
    }
    let mut checked = 0;
    for (path, text) in pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.starts_with("http") || target.is_empty() {
                continue;
            }
            let leads_to = path.parent().unwrap().join(target);
            assert!(leads_to.exists(), "{} links to {target}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}
