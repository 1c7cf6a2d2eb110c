//! Makes text from servers, files and people safe to print.
//!
//! Control and text-direction characters are escaped, so that a terminal can't act on them;
//! [`line()`] also limits the length.
//!
//! Everything printed for people goes through here. This crate must not depend on where the text
//! comes from.

use std::fmt::{self, Write};

/// The maximum length, in characters, of a server's own message.
pub const SERVER_MESSAGE: usize = 500;

/// Returns one line with control characters escaped, cut to `most` characters.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let mut printable = String::with_capacity(text.len().min(most));
    let mut characters = text.chars();
    for character in characters.by_ref().take(most) {
        // Writing to a string can't fail.
        let _ = write_escaped(&mut printable, character);
    }
    if characters.next().is_some() {
        printable.push('…');
    }
    printable
}

/// Returns a string with control characters escaped, except line breaks.
#[must_use]
pub fn lines(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' {
            printable.push('\n');
        } else {
            // Writing to a string can't fail.
            let _ = write_escaped(&mut printable, character);
        }
    }
    printable
}

/// Escapes, as `\u…`, the characters of `text` that a terminal would act on ([`needs_escaping`]).
///
/// `text` must be one line of JSON.
#[must_use]
pub fn json(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if needs_escaping(character) {
            // Writing to a string can't fail.
            let _ = write!(printable, "\\u{:04x}", u32::from(character));
        } else {
            printable.push(character);
        }
    }
    printable
}

/// Whether a terminal would act on the character instead of showing it.
///
/// These are control characters, line separators, and characters that change the text direction
/// (Unicode Annex 9).
#[must_use]
pub fn needs_escaping(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a character, escaped if a terminal would act on it.
///
/// # Errors
///
/// Those of `out`.
pub fn write_escaped(out: &mut impl Write, character: char) -> fmt::Result {
    if needs_escaping(character) {
        write!(out, "{}", character.escape_default())
    } else {
        out.write_char(character)
    }
}

#[cfg(test)]
mod tests {
    use super::{json, line, lines};

    #[test]
    fn no_character_moves_the_cursor_or_turns_the_text_around() {
        let hostile = "a\x1b[2J\u{9b}1m\r\n\u{202e}b\u{2028}ä";
        let escaped = "a\\u{1b}[2J\\u{9b}1m\\r\\n\\u{202e}b\\u{2028}ä";
        assert_eq!(line(hostile, 100), escaped);
        assert_eq!(lines(hostile), escaped.replace("\\n", "\n"));
    }

    #[test]
    fn json_stays_json() {
        let hostile = "a\u{7f}\u{9b}1m\u{202e}b\u{2028}ä\n\"";
        let text = serde_json::json!([hostile]).to_string();
        assert!(!json(&text).chars().any(super::needs_escaping));
        let read: Vec<String> = serde_json::from_str(&json(&text)).unwrap();
        assert_eq!(read, [hostile]);
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(line("äöü", 3), "äöü");
        assert_eq!(line("äöüß", 3), "äöü…");
        assert_eq!(line(&"x".repeat(1_000_000), 500).chars().count(), 501);
    }
}
