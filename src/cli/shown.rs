//! Makes untrusted text safe to print: different texts never look the same.
//!
//! The properties are those of Unicode's `DerivedCoreProperties.txt` and `UnicodeData.txt`.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters that are blank on a terminal although Unicode counts them as symbols.
///
/// They are the Braille pattern without dots and the musical symbol without a note head.
const BLANK: [char; 2] = ['\u{2800}', '\u{1d159}'];

/// Escapes characters that are invisible or move the cursor.
///
/// If other non-ASCII characters remain, which may look like ASCII ones, the text's ASCII form
/// follows in parentheses.
pub(super) fn shown(text: &str) -> String {
    let visible = escaped(text, is_hidden);
    let ascii = escaped(text, |character| !character.is_ascii());
    if visible == ascii { visible } else { format!("{visible} ({ascii})") }
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' => escaped.push(character),
            _ if is_escaped(character) => escaped.extend(character.escape_unicode()),
            _ => escaped.extend(character.escape_debug()),
        }
    }
    escaped
}

/// Whether a character is invisible by itself.
///
/// `escape_debug` handles control characters, white space and unassigned characters.
fn is_hidden(character: char) -> bool {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let category = CodePointMapData::<GeneralCategory>::new();
    ignorable.contains(character)
        || GeneralCategoryGroup::Mark.contains(category.get(character))
        || BLANK.contains(&character)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn ascii_is_shown_as_it_is() {
        for text in ["o'brien@example.com", "\"a b\"@example.com", "a+b{c}|~@example.com", ""] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_can_not_be_seen_is_escaped() {
        for (text, expected) in [
            ("a\u{200b}b@example.com", "a\\u{200b}b@example.com"),
            ("moc.\u{202e}@example.com", "moc.\\u{202e}@example.com"),
            ("\u{1b}[2J@example.com", "\\u{1b}[2J@example.com"),
            ("two\nlines@example.com", "two\\nlines@example.com"),
            ("a\u{9b}b", "a\\u{9b}b"),
            ("a\u{a0}\u{3000}b", "a\\u{a0}\\u{3000}b"),
            // A typed escape sequence stays distinguishable from a real one.
            ("a\\u{200b}b@example.com", "a\\\\u{200b}b@example.com"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn no_character_that_shows_nothing_makes_a_second_address_look_like_a_first() {
        for hidden in [
            '\u{ad}',
            '\u{301}',
            '\u{34f}',
            '\u{61c}',
            '\u{93e}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180b}',
            '\u{200d}',
            '\u{2061}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{16fe4}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{e0fff}',
            '\u{10ffff}',
        ] {
            let expected = format!("boss{}@example.com", hidden.escape_unicode());
            assert_eq!(shown(&format!("boss{hidden}@example.com")), expected);
        }
    }

    #[test]
    fn what_is_not_ascii_is_followed_by_its_ascii_form() {
        for (text, expected) in [
            ("b\u{43e}ss@example.com", "b\u{43e}ss@example.com (b\\u{43e}ss@example.com)"),
            ("\u{e9}@example.com", "\u{e9}@example.com (\\u{e9}@example.com)"),
            ("e\u{301}@example.com", "e\\u{301}@example.com"),
            (
                "\u{939}\u{93f}@example.com",
                "\u{939}\\u{93f}@example.com (\\u{939}\\u{93f}@example.com)",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
