//! `JWT_SECRET_KEY_PREVIOUS`: a list of secrets whose entries are named by their number.

use std::fs;

use discogsography_api::config::{Config, Warning};
use secrecy::ExposeSecret;

use super::{load, loaded, problems};

const CURRENT: (&str, &str) = ("JWT_SECRET_KEY", "qK8vN2xR5tW9zB3mC6pL1sD4fG7hJ0kQ");
const FIRST: &str = "7f3a9c1e5b2d8064f1a7c3e9b5d20846";
const SECOND: &str = "a-secret-of-more-than-32-characters";

fn previous(config: &Config) -> Vec<&str> {
    config.jwt_secret_key_previous.iter().map(ExposeSecret::expose_secret).collect()
}

/// Loads a list that the variable contains.
#[track_caller]
fn listed(list: &str) -> Config {
    loaded(&[CURRENT, ("JWT_SECRET_KEY_PREVIOUS", list)])
}

/// Loads a list that a file contains.
fn filed(content: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    fs::write(&path, content).unwrap();
    let variables = [CURRENT, ("JWT_SECRET_KEY_PREVIOUS_FILE", path.to_str().unwrap())];
    load(&variables).map_err(|error| error.to_string())
}

fn careful(what: &str) -> Warning {
    Warning::Careful(what.to_owned())
}

#[test]
fn entries_are_separated_by_commas() {
    assert_eq!(previous(&loaded(&[CURRENT])), [""; 0]);
    assert_eq!(previous(&listed("")), [""; 0]);
    let config = listed(&format!("{FIRST},{SECOND}"));
    assert_eq!(previous(&config), [FIRST, SECOND]);
    assert_eq!(config.warnings, []);
}

#[test]
fn a_file_has_one_entry_per_line_which_may_contain_commas() {
    let with_comma = "comma,7f3a9c1e5b2d8064f1a7c3e9b5d20846";
    for content in [
        format!("{FIRST}\n{with_comma}"),
        format!("{FIRST}\n{with_comma}\n"),
        format!("\u{feff}{FIRST} \r\n\t{with_comma}\r\n\r\n"),
    ] {
        let config = filed(&content).unwrap();
        assert_eq!(previous(&config), [FIRST, with_comma]);
        assert_eq!(config.warnings, []);
    }
}

#[test]
fn an_entry_without_a_secret_is_refused_by_its_number() {
    for (list, numbers) in [
        (format!(",{FIRST}"), &[1][..]),
        (format!("{FIRST},"), &[2]),
        (format!("{FIRST},,{SECOND}, "), &[2, 4]),
        (format!("{FIRST},\"\""), &[2]),
    ] {
        let found = problems(&[CURRENT, ("JWT_SECRET_KEY_PREVIOUS", &list)]);
        let found: Vec<_> = found.into_iter().map(|(_, sentence)| sentence).collect();
        let blank = |number: &i32| {
            format!(
                "JWT_SECRET_KEY_PREVIOUS entry {number} is blank: give it a value, or leave it out"
            )
        };
        assert_eq!(found, numbers.iter().map(blank).collect::<Vec<_>>());
    }
    let error = filed(&format!("{FIRST}\n\n{SECOND}\n")).unwrap_err();
    let blank = "JWT_SECRET_KEY_PREVIOUS_FILE entry 2 is blank";
    assert!(error.contains(blank) && !error.contains(FIRST), "{error}");
}

#[test]
fn an_entry_is_used_byte_for_byte_and_what_surrounds_it_is_warned_about() {
    let config = listed(&format!("{FIRST}, {SECOND}"));
    assert_eq!(previous(&config), [FIRST, &format!(" {SECOND}")]);
    let warning = "JWT_SECRET_KEY_PREVIOUS entry 2 holds a secret that begins with a space and is \
                   used exactly like that: remove what does not belong to it";
    assert_eq!(config.warnings, [careful(warning)]);
}

#[test]
fn a_weak_entry_is_warned_about_by_its_number() {
    let config = listed(&format!("{FIRST},short,your-secret-key-here"));
    assert_eq!(
        config.warnings,
        [
            careful(
                "JWT_SECRET_KEY_PREVIOUS entry 2 is shorter than 32 bytes and could be guessed"
            ),
            Warning::Alarming(
                "JWT_SECRET_KEY_PREVIOUS entry 3 is the example from the documentation: anyone \
                 can make access tokens for any user until it is removed"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn an_entry_without_effect_is_warned_about() {
    let config = listed(&format!("{FIRST},{}", CURRENT.1));
    let same = "JWT_SECRET_KEY_PREVIOUS entry 2 is the same as JWT_SECRET_KEY, so it has no \
                effect: remove it, or change JWT_SECRET_KEY";
    assert_eq!(config.warnings, [careful(same)]);
    let twice = "JWT_SECRET_KEY_PREVIOUS entry 2 is listed twice: remove one of them";
    assert_eq!(listed(&format!("{FIRST},{FIRST}")).warnings, [careful(twice)]);
}

#[test]
fn the_embedded_store_needs_no_current_secret_for_it() {
    let config = loaded(&[("JWT_SECRET_KEY_PREVIOUS", FIRST)]);
    assert!(config.jwt_secret_key.is_none());
    assert_eq!(previous(&config), [FIRST]);
    let shown = format!("{config:?}");
    assert!(!shown.contains(FIRST), "{shown}");
}
