//! Decides which values messages may show: never one that may contain a password.

use std::net::Ipv6Addr;
use std::path::Path;

/// The longest value that is shown, in characters.
const LENGTH: usize = 100;

const HIDDEN: &str = "(not shown)";

/// Quotes a value, unless it may be `user:password@host`, `user:password:host` or the like.
pub(crate) fn shown(value: &str) -> String {
    let has_many_colons = value.replacen("://", "", 1).matches(':').count() > 1;
    if value.contains('@') || (has_many_colons && !begins_with_ipv6(value)) {
        HIDDEN.to_owned()
    } else {
        quoted(value)
    }
}

/// Quotes a path if its folder exists; otherwise returns "(not shown)".
///
/// An operator may have set a secret instead of the path of its file, and Base64 can start with a
/// slash.
#[must_use]
pub fn path_shown(path: &str) -> String {
    let folder = Path::new(path).parent();
    let is_in_folder = folder.is_some_and(|folder| folder.parent().is_some() && folder.is_dir());
    if is_in_folder { quoted(path) } else { HIDDEN.to_owned() }
}

/// Whether a value is an IPv6 address, or starts with one in brackets.
fn begins_with_ipv6(value: &str) -> bool {
    let in_brackets = value.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let address = in_brackets.map_or(value, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// Returns a text in backquotes, on one line, and cut to a maximum length.
fn quoted(value: &str) -> String {
    format!("`{}`", printable::line(value, LENGTH))
}

#[cfg(test)]
mod tests {
    use super::{path_shown, shown};

    #[test]
    fn what_may_hold_a_password_is_not_shown() {
        for value in ["digger:s3cret@db", "digger:s3cret:db", "redis://:s3cret@cache", "a:b:c"] {
            assert_eq!(shown(value), "(not shown)", "{value}");
        }
        for value in ["db:5432", "http://db:5432", "::1", "[::1]:abc"] {
            assert_eq!(shown(value), format!("`{value}`"));
        }
    }

    #[test]
    fn a_value_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("a\n\u{1b}[2J"), "`a\\n\\u{1b}[2J`");
        assert_eq!(shown(&"x".repeat(101)), format!("`{}…`", "x".repeat(100)));
    }

    #[test]
    fn a_path_is_shown_only_in_a_folder_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere");
        let path = path.to_str().unwrap();
        assert_eq!(path_shown(path), format!("`{path}`"));
        for secret in ["s3cret", "/s3cret", "/s3cret/rest", "s3/cret", "-----BEGIN PRIVATE KEY"] {
            assert_eq!(path_shown(secret), "(not shown)", "{secret}");
        }
    }
}
