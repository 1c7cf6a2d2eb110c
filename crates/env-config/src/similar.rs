//! Finds the declared name that an unknown name was meant for.

use strsim::osa_distance;

/// The maximum number of wrong letters at which a name is certainly a misspelling.
const MOST_SLIPS: usize = 2;

/// The fewest letters of a name in which one wrong letter can't make another word.
///
/// In shorter ones it can: `APP_PORT`, `HTTP_PROXY`.
const LONG: usize = 12;

/// Returns the most similar of the declared names that `is_like` accepts.
pub fn nearest(
    name: &str,
    declared: impl Iterator<Item = String>,
    is_like: fn(&str, &str) -> bool,
) -> Option<String> {
    let like = declared.filter(|declared| is_like(name, declared));
    like.min_by_key(|declared| osa_distance(name, declared))
}

/// Whether a name differs from a declared one by two letters, case or separators.
#[must_use]
pub fn is_slip_of(name: &str, declared: &str) -> bool {
    squeezed(name) == squeezed(declared)
        || osa_distance(&name.to_uppercase(), declared) <= MOST_SLIPS
        || is_file_of(name, declared)
}

/// Whether a name may be meant for a declared one.
///
/// This rule is stricter, since other programs have variables with similar names.
#[must_use]
pub fn is_near(name: &str, declared: &str) -> bool {
    if squeezed(name) == squeezed(declared) || is_file_of(name, declared) {
        return true;
    }
    let (Some((family, rest)), Some((declared_family, declared_rest))) =
        (name.split_once('_'), declared.split_once('_'))
    else {
        return false;
    };
    if family == declared_family {
        let most = (declared_rest.len() / 4).clamp(1, 3);
        return osa_distance(rest, declared_rest) <= most;
    }
    rest == declared_rest && declared.len() >= LONG && osa_distance(family, declared_family) == 1
}

/// Whether a name is `declared` with `_FILE` appended.
fn is_file_of(name: &str, declared: &str) -> bool {
    name.strip_suffix("_FILE") == Some(declared)
}

/// Returns a name without case and separators.
fn squeezed(name: &str) -> String {
    let name = name.trim().trim_start_matches("export ");
    name.replace(['_', '-', '.', ' ', '\u{feff}'], "").to_uppercase()
}
