//! The documentation and the example file list every variable with its real default.

use std::fs;
use std::path::Path;

use discogsography_api::config::{GROUPS, VARIABLES};

use super::databases;
use super::{loaded, names_of_problems};

/// Reads a file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_variable_is_documented_with_its_default() {
    let page = file("docs/configuration.md");
    let rows = |text: &str| -> Vec<Vec<String>> {
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let cells = |line: &str| {
            let cells = line.trim_matches('|').split(" | ").take(3);
            cells.map(|cell| cell.trim().to_owned()).collect()
        };
        rows.map(cells).collect()
    };
    for group in GROUPS {
        let heading = format!("\n### {}\n", group.title);
        let (_, section) = page.split_once(&heading).unwrap_or_else(|| panic!("no{heading}"));
        let section = section.split("\n##").next().unwrap();
        let expected: Vec<_> = group
            .variables
            .iter()
            .map(|variable| {
                let default = variable.default.map_or("–".to_owned(), |text| format!("`{text}`"));
                let has_file_variant = if variable.has_file_variant { "yes" } else { "no" };
                vec![format!("`{}`", variable.name), default, has_file_variant.to_owned()]
            })
            .collect();
        assert_eq!(rows(section), expected);
    }
    assert_eq!(rows(&page).len(), VARIABLES.len());
}

#[test]
fn the_example_file_has_every_variable_and_loads_once_its_secrets_are_filled_in() {
    let example = file("ops/example.env");
    let lines = || example.lines().filter(|line| line.contains('=') && !line.starts_with("# "));
    let names = lines().map(|line| line.trim_start_matches('#').split('=').next().unwrap());
    assert!(names.eq(VARIABLES.iter().map(|variable| variable.name)));
    for variable in VARIABLES {
        let commented = format!("#{}=", variable.name);
        let value = lines().find_map(|line| line.strip_prefix(&commented));
        if let (Some(value), Some(default)) = (value, variable.default) {
            assert_eq!(value, default, "{}", variable.name);
        }
    }
    let set = lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let set: Vec<_> = set.collect();
    assert_eq!(names_of_problems(&set), ["POSTGRES_PASSWORD", "JWT_SECRET_KEY"]);
    let secrets = [("POSTGRES_PASSWORD", "p4ssword-of-the-role"), databases::COMPLETE[5]];
    let config = loaded(&[&set[..], &secrets].concat());
    assert_eq!(config.warnings, []);
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let defaults: Vec<_> =
        VARIABLES.iter().filter_map(|variable| Some((variable.name, variable.default?))).collect();
    assert!(defaults.len() > 10, "{defaults:?}");
    assert_eq!(format!("{:?}", loaded(&defaults)), format!("{:?}", loaded(&[])));
}
