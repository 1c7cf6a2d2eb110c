//! Formats events as lines: JSON objects, or text for people.
//!
//! docs/logging.md describes both. There are no spans, so none are shown.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;

/// The maximum number of bytes of one field, so that text from a server or a file can't fill the
/// log.
const LONGEST_FIELD: usize = 4096;

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON object.
    Json,
    /// Text with colours, for a terminal.
    Coloured,
    /// Text without colours.
    Plain,
}

/// Formats events in one shape.
pub(super) struct Lines {
    pub(super) shape: Shape,
    pub(super) clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.shape {
            Shape::Json => write_json(&mut line, event, &self.clock),
            Shape::Coloured => write_text(&mut line, event, &self.clock, &COLOURS),
            Shape::Plain => write_text(&mut line, event, &self.clock, &NO_COLOURS),
        }
    }
}

fn write_json(line: &mut impl Write, event: &Event<'_>, clock: &Clock) -> fmt::Result {
    let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
    write!(line, "{{\"timestamp\":\"{}\",\"level\":\"{level}\"", clock.now())?;
    event.record(&mut JsonFields(line));
    writeln!(line, ",\"target\":\"{target}\"}}")
}

/// Adds `,"name":value` for each field.
///
/// Errors are ignored: writing to memory can't fail.
struct JsonFields<'a, W>(&'a mut W);

impl<W: Write> JsonFields<'_, W> {
    fn unquoted(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        let _ = write!(self.0, ",\"{}\":{}", field.name(), value.into());
    }

    fn quoted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = write!(self.0, ",\"{}\":\"", field.name());
        let _ = Bounded::new(Escaped(self.0)).write_fmt(value);
        let _ = self.0.write_char('"');
    }
}

impl<W: Write> Visit for JsonFields<'_, W> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.unquoted(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.unquoted(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.unquoted(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.unquoted(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, format_args!("{value:?}"));
    }
}

/// Writes a field's text, up to [`LONGEST_FIELD`].
struct Bounded<W> {
    field: W,
    /// Bytes that still fit; `None` once the field has been cut.
    left: Option<usize>,
}

impl<W: Write> Bounded<W> {
    fn new(field: W) -> Self {
        Self { field, left: Some(LONGEST_FIELD) }
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(left) = self.left else { return Ok(()) };
        self.left = left.checked_sub(text.len());
        if self.left.is_some() {
            return self.field.write_str(text);
        }
        let (shown, _) = text.split_at(text.floor_char_boundary(left));
        self.field.write_str(shown)?;
        self.field.write_str("…")
    }
}

/// Escapes text for a JSON string (RFC 8259 section 7), and what a terminal would act on.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if text.bytes().all(is_plain) {
            return self.0.write_str(text);
        }
        for character in text.chars() {
            match character {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                control if printable::needs_escaping(control) => {
                    write!(self.0, "\\u{:04x}", u32::from(control))?;
                }
                shown => self.0.write_char(shown)?,
            }
        }
        Ok(())
    }
}

/// Escape sequences for a terminal's colours (ECMA-48 section 8.3.117); may be empty.
struct Colours {
    dim: &'static str,
    warning: &'static str,
    error: &'static str,
    end: &'static str,
}

const NO_COLOURS: Colours = Colours { dim: "", warning: "", error: "", end: "" };
const COLOURS: Colours =
    Colours { dim: "\x1b[2m", warning: "\x1b[33m", error: "\x1b[31m", end: "\x1b[0m" };

fn write_text(
    line: &mut impl Write,
    event: &Event<'_>,
    clock: &Clock,
    colours: &Colours,
) -> fmt::Result {
    let Colours { dim, end, .. } = colours;
    let level = *event.metadata().level();
    let colour = match level {
        Level::ERROR => colours.error,
        Level::WARN => colours.warning,
        Level::INFO => "",
        Level::DEBUG | Level::TRACE => colours.dim,
    };
    write!(line, "{dim}{}{end} {colour}{level:5}{end}", clock.now())?;
    event.record(&mut TextFields { line, colours });
    line.write_char('\n')
}

/// Adds ` message`, and ` name=value` for each other field.
struct TextFields<'a, W> {
    line: &'a mut W,
    colours: &'a Colours,
}

impl<W: Write> Visit for TextFields<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Colours { dim, end, .. } = self.colours;
        let _ = self.line.write_char(' ');
        if field.name() != "message" {
            let _ = write!(self.line, "{dim}{}={end}", field.name());
        }
        let _ = write!(Bounded::new(OneLine(self.line)), "{value:?}");
    }
}

/// Escapes line breaks, and what a terminal would act on.
struct OneLine<'a, W>(&'a mut W);

impl<W: Write> Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| printable::write_escaped(self.0, character))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Bounded, Escaped, LONGEST_FIELD, OneLine};

    fn escaped(text: &str) -> String {
        let mut line = String::new();
        Escaped(&mut line).write_str(text).unwrap();
        line
    }

    #[test]
    fn a_json_string_parses_to_the_text_that_went_in() {
        let all = (0..0x80).map(char::from).collect::<String>() + "äß—🔐\u{2028}";
        for text in ["", "plain", "\"", "\\\"\n", &all] {
            let line = format!("\"{}\"", escaped(text));
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn a_json_string_has_no_control_characters() {
        for code in (0..=0x9f).chain(0x600..=0x6ff).chain(0x2000..=0x20ff) {
            let text = format!("é{}x", char::from_u32(code).unwrap());
            let line = format!("\"{}\"", escaped(&text));
            assert!(!line.chars().any(printable::needs_escaping), "{code:x}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
        assert_eq!(escaped("\u{9b}1m\u{7f}\u{202e}äß"), "\\u009b1m\\u007f\\u202eäß");
    }

    #[test]
    fn a_field_that_is_too_long_is_cut() {
        let written = |parts: &[&str]| {
            let mut field = String::new();
            let mut bounded = Bounded::new(&mut field);
            for part in parts {
                bounded.write_str(part).unwrap();
            }
            field
        };
        let most = "x".repeat(LONGEST_FIELD);
        assert_eq!(written(&[&most, ""]), most);
        assert_eq!(written(&[&most, "y", "z"]), format!("{most}…"));
        let all_but_one = &most[1..];
        assert_eq!(written(&[all_but_one, "ä", "z"]), format!("{all_but_one}…"));
        assert_eq!(written(&["y", &"x".repeat(1_000_000)]), format!("y{all_but_one}…"));
    }

    #[test]
    fn control_characters_are_escaped_in_text() {
        let mut line = String::new();
        OneLine(&mut line).write_str("a\nb\x1b[2Jcä").unwrap();
        assert_eq!(line, "a\\nb\\u{1b}[2Jcä");
    }
}
