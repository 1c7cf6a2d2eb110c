//! Turning events into lines: one JSON object each, or something for people.
//!
//! A subscriber of our own, since every request writes a line: it allocates nothing, and it knows
//! no spans, because we have none.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::output::Output;
use crate::clock::Clock;

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
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
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
        LINE.with_borrow_mut(|line| {
            line.clear();
            match self.shape {
                Shape::Json => write_json(line, event, &self.clock),
                Shape::Coloured => write_for_people(line, event, &self.clock, &COLOURS),
                Shape::Plain => write_for_people(line, event, &self.clock, &NO_COLOURS),
            }
            self.output.push(line.as_bytes());
        });
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

/// Writes one line into a text, which can't fail.
macro_rules! put {
    ($line:expr, $($piece:tt)*) => {
        let _ = write!($line, $($piece)*);
    };
}

fn write_json(line: &mut String, event: &Event<'_>, clock: &Clock) {
    let level = event.metadata().level();
    put!(line, r#"{{"timestamp":"{}","level":"{level}""#, clock.now());
    event.record(&mut JsonFields(line));
    put!(line, r#","target":"{}"}}"#, event.metadata().target());
    line.push('\n');
}

/// Adds `,"name":value` for each field.
struct JsonFields<'a>(&'a mut String);

impl JsonFields<'_> {
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        put!(self.0, r#","{}":{value}"#, field.name());
    }

    fn quoted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        put!(self.0, r#","{}":""#, field.name());
        put!(Escaped(self.0), "{value}");
        self.0.push('"');
    }
}

impl Visit for JsonFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.quoted(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, format_args!("{value:?}"));
    }
}

/// Escapes what goes into a JSON string (RFC 8259 section 7).
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        while let Some(at) = text.bytes().position(is_special) {
            let (plain, rest) = text.split_at(at);
            // What is special is one byte long.
            let (special, rest) = rest.split_at(1);
            self.0.push_str(plain);
            match special {
                "\"" => self.0.push_str("\\\""),
                "\\" => self.0.push_str("\\\\"),
                "\n" => self.0.push_str("\\n"),
                "\r" => self.0.push_str("\\r"),
                "\t" => self.0.push_str("\\t"),
                _ => special.bytes().try_for_each(|byte| write!(self.0, "\\u{byte:04x}"))?,
            }
            text = rest;
        }
        self.0.push_str(text);
        Ok(())
    }
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

fn write_for_people(line: &mut String, event: &Event<'_>, clock: &Clock, colours: &Colours) {
    let Colours { dim, end, .. } = colours;
    let level = *event.metadata().level();
    let colour = match level {
        Level::ERROR => colours.error,
        Level::WARN => colours.warning,
        Level::INFO => "",
        Level::DEBUG | Level::TRACE => colours.dim,
    };
    put!(line, "{dim}{}{end} {colour}{level:5}{end}", clock.now());
    event.record(&mut PlainFields { line, colours });
    line.push('\n');
}

/// Adds ` message`, and ` name=value` for each field.
struct PlainFields<'a> {
    line: &'a mut String,
    colours: &'a Colours,
}

impl Visit for PlainFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Colours { dim, end, .. } = self.colours;
        self.line.push(' ');
        if field.name() != "message" {
            put!(self.line, "{dim}{}={end}", field.name());
        }
        put!(OneLine(self.line), "{value:?}");
    }
}

/// Keeps a value on its line, and a terminal from obeying it.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_control() {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Escaped, OneLine};

    #[test]
    fn a_json_string_reads_back_as_it_was() {
        let all = (0..0x80).map(char::from).collect::<String>() + "äß—🔐\u{2028}";
        for text in ["", "plain", "\"", "\\\"\n", &all] {
            let mut line = "\"".to_owned();
            write!(Escaped(&mut line), "{text}").unwrap();
            line.push('"');
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        let mut line = String::new();
        write!(OneLine(&mut line), "a\nb\x1b[2Jc").unwrap();
        assert_eq!(line, "a\\nb\\u{1b}[2Jc");
    }
}
