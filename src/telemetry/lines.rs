//! Turning events into lines: one JSON object each, or something for people.
//!
//! A subscriber of our own, since every request writes a line: it allocates nothing, and it knows
//! no spans, because we have none.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::output::Output;
use crate::clock::Clock;
use crate::printable;

/// Our own crates, whose lines follow the configured level.
const OURS: [&str; 2] = ["discogsography_api", "discogs_sandbox"];

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON object.
    Json,
    /// For people, on a terminal that shows colours.
    Coloured,
    /// For people, without colours.
    Plain,
}

/// Writes events of our own from `level` on, and warnings of the libraries: their details may
/// hold what must not be logged.
pub(super) struct Lines {
    pub(super) level: LevelFilter,
    pub(super) shape: Shape,
    pub(super) clock: Clock,
    pub(super) output: Output,
}

thread_local! {
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Lines {
    fn is_shown(&self, metadata: &Metadata<'_>) -> bool {
        let own_crate = metadata.target().split(':').next().unwrap_or_default();
        let least =
            if OURS.contains(&own_crate) { self.level } else { self.level.min(LevelFilter::WARN) };
        metadata.is_event() && *metadata.level() <= least
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_shown(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.is_shown(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        // Taken out, since what is written may log something itself.
        let mut line = LINE.take();
        line.clear();
        match self.shape {
            Shape::Json => write_json(&mut line, event, &self.clock),
            Shape::Coloured => write_for_people(&mut line, event, &self.clock, &COLOURS),
            Shape::Plain => write_for_people(&mut line, event, &self.clock, &NO_COLOURS),
        }
        self.output.push(&line);
        LINE.set(line);
    }

    // No span is ever shown, so none is ever made.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn write_json(line: &mut Vec<u8>, event: &Event<'_>, clock: &Clock) {
    let metadata = event.metadata();
    line.extend(b"{\"timestamp\":\"");
    put(line, &clock.now());
    line.extend(b"\",\"level\":\"");
    line.extend(metadata.level().as_str().as_bytes());
    line.push(b'"');
    event.record(&mut JsonFields(line));
    line.extend(b",\"target\":\"");
    line.extend(metadata.target().as_bytes());
    line.extend(b"\"}\n");
}

/// Adds `,"name":value` for each field.
struct JsonFields<'a>(&'a mut Vec<u8>);

impl JsonFields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.extend(b",\"");
        self.0.extend(field.name().as_bytes());
        self.0.extend(b"\":");
    }

    fn json(&mut self, field: &Field, value: impl serde::Serialize) {
        self.name(field);
        // Numbers and truth values can always be written, and to memory.
        let _ = serde_json::to_writer(&mut *self.0, &value);
    }
}

impl Visit for JsonFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.json(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.json(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.json(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.json(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.push(b'"');
        // Writing to memory can't fail.
        let _ = Bounded::new(Escaped(self.0)).write_str(value);
        self.0.push(b'"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push(b'"');
        // Only a `Debug` that fails on purpose could.
        let _ = write!(Bounded::new(Escaped(self.0)), "{value:?}");
        self.0.push(b'"');
    }
}

/// The most bytes of one field, so that what a server or a file says can't fill the log.
const LONGEST_FIELD: usize = 4096;

/// Passes on a field's text up to [`LONGEST_FIELD`].
struct Bounded<W> {
    field: W,
    /// `None` once the field was cut.
    left: Option<usize>,
}

impl<W: fmt::Write> Bounded<W> {
    fn new(field: W) -> Self {
        Self { field, left: Some(LONGEST_FIELD) }
    }
}

impl<W: fmt::Write> fmt::Write for Bounded<W> {
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

/// Escapes what goes into a JSON string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Adds a text as RFC 8259 section 7 wants it inside a string, with what a terminal would obey escaped.
fn escape(line: &mut Vec<u8>, text: &str) {
    // Nearly all texts are plain.
    if !text.bytes().fold(false, |found, byte| found | may_be_special(byte)) {
        line.extend(text.as_bytes());
        return;
    }
    for character in text.chars() {
        match character {
            '"' => line.extend(b"\\\""),
            '\\' => line.extend(b"\\\\"),
            '\n' => line.extend(b"\\n"),
            obeyed if printable::is_obeyed(obeyed) => {
                put(line, &format_args!("\\u{:04x}", u32::from(obeyed)));
            }
            shown => line.extend(shown.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Whether a character that is escaped may begin with this byte: those that are not ASCII begin, in
/// UTF-8, with C2 (U+0080 to U+009F), D8 (U+061C) or E2 (U+200E to U+2069).
#[expect(clippy::needless_bitwise_bool, reason = "without branches several bytes go at once")]
fn may_be_special(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == 0x7f)
        | (byte == 0xc2)
        | (byte == 0xd8)
        | (byte == 0xe2)
}

/// Writes a value that can't fail to be written.
fn put(line: &mut Vec<u8>, value: &dyn fmt::Display) {
    let _ = io::Write::write_fmt(line, format_args!("{value}"));
}

/// What makes a terminal change colour (ECMA-48 section 8.3.117), or nothing.
struct Colours {
    dim: &'static str,
    warning: &'static str,
    error: &'static str,
    end: &'static str,
}

const NO_COLOURS: Colours = Colours { dim: "", warning: "", error: "", end: "" };
const COLOURS: Colours =
    Colours { dim: "\x1b[2m", warning: "\x1b[33m", error: "\x1b[31m", end: "\x1b[0m" };

fn write_for_people(line: &mut Vec<u8>, event: &Event<'_>, clock: &Clock, colours: &Colours) {
    let Colours { dim, end, .. } = colours;
    let level = *event.metadata().level();
    let colour = match level {
        Level::ERROR => colours.error,
        Level::WARN => colours.warning,
        Level::INFO => "",
        Level::DEBUG | Level::TRACE => colours.dim,
    };
    put(line, &format_args!("{dim}{}{end} {colour}{level:5}{end}", clock.now()));
    event.record(&mut PlainFields { line, colours });
    line.push(b'\n');
}

/// Adds ` message`, and ` name=value` for each field.
struct PlainFields<'a> {
    line: &'a mut Vec<u8>,
    colours: &'a Colours,
}

impl Visit for PlainFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Colours { dim, end, .. } = self.colours;
        self.line.push(b' ');
        if field.name() != "message" {
            put(self.line, &format_args!("{dim}{}={end}", field.name()));
        }
        // Only a `Debug` that fails on purpose could.
        let _ = write!(Bounded::new(OneLine(self.line)), "{value:?}");
    }
}

/// Keeps a value on its line, and a terminal from obeying it.
struct OneLine<'a>(&'a mut Vec<u8>);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if printable::is_obeyed(character) {
                put(self.0, &character.escape_default());
            } else {
                put(self.0, &character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Bounded, Escaped, LONGEST_FIELD, OneLine};

    #[test]
    fn a_json_string_reads_back_as_it_was() {
        let all = (0..0x80).map(char::from).collect::<String>() + "äß—🔐\u{2028}";
        for text in ["", "plain", "\"", "\\\"\n", &all] {
            let mut line = b"\"".to_vec();
            write!(Escaped(&mut line), "{text}").unwrap();
            line.push(b'"');
            assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn no_character_that_a_terminal_obeys_is_in_a_json_string() {
        for code in (0..=0x9f).chain(0x600..=0x6ff).chain(0x2000..=0x20ff) {
            let text = format!("é{}x", char::from_u32(code).unwrap());
            let mut line = b"\"".to_vec();
            write!(Escaped(&mut line), "{text}").unwrap();
            line.push(b'"');
            let line = String::from_utf8(line).unwrap();
            assert!(!line.chars().any(crate::printable::is_obeyed), "{code:x}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
        let mut line = Vec::new();
        write!(Escaped(&mut line), "\u{9b}1m\u{7f}\u{202e}äß").unwrap();
        assert_eq!(line, "\\u009b1m\\u007f\\u202eäß".as_bytes());
    }

    #[test]
    fn a_field_is_cut_where_it_is_too_long() {
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
    fn what_a_terminal_would_obey_is_spelled_out() {
        let mut line = Vec::new();
        write!(OneLine(&mut line), "a\nb\x1b[2Jcä").unwrap();
        assert_eq!(line, "a\\nb\\u{1b}[2Jcä".as_bytes());
    }
}
