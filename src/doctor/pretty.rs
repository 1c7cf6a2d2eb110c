//! The report as plain text: a heading per area, one or two lines per finding.

use std::fmt;

use super::report::{Area, Finding, Report, Severity};

/// The longest line, unless a single word is longer.
const WIDTH: usize = 98;

/// The column at which the text of a finding begins.
const INDENT: usize = 11;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = self.timestamp.to_string();
        let seconds = timestamp.split('.').next().unwrap_or_default();
        writeln!(f, "discogsography-api {}, checked at {seconds} UTC", self.version)?;
        for area in Area::ALL {
            let mut findings =
                self.findings.iter().filter(|finding| finding.check.area() == area).peekable();
            if findings.peek().is_some() {
                writeln!(f, "\n{}", area.title())?;
            }
            for finding in findings {
                write_finding(f, finding)?;
            }
        }
        let counted = |severity, one: &str, more: &str| {
            let count = self.count(severity);
            format!("{count} {}", if count == 1 { one } else { more })
        };
        let is_wrong = self.severity >= Severity::Warning;
        write!(
            f,
            "\n{}{}, {}.",
            if is_wrong {
                let errors = counted(Severity::Error, "error", "errors");
                format!("{errors}, {}, ", counted(Severity::Warning, "warning", "warnings"))
            } else {
                "Nothing is wrong: ".to_owned()
            },
            counted(Severity::Note, "note", "notes"),
            counted(Severity::Ok, "ok", "ok"),
        )
    }
}

fn write_finding(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let mark = match finding.severity {
        Severity::Ok => "ok",
        Severity::Note => "note",
        Severity::Warning => "WARNING",
        Severity::Error => "ERROR",
    };
    write_text(f, &format!("  {mark:<8} "), &finding.what)?;
    match &finding.fix {
        Some(fix) => write_text(f, &format!("{:INDENT$}-> ", ""), fix),
        None => Ok(()),
    }
}

/// Writes `before` and a text, whose further lines are aligned with its first.
fn write_text(f: &mut fmt::Formatter<'_>, before: &str, text: &str) -> fmt::Result {
    let indent = before.chars().count();
    write!(f, "{before}")?;
    let mut column = indent;
    for word in words(text) {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        }
        if column > indent {
            write!(f, " ")?;
            column += 1;
        }
        write!(f, "{word}")?;
        column += length;
    }
    writeln!(f)
}

/// Splits a text into words. Text between backticks is one word, so it can be copied.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if is_quoted => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        is_quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::report::{Check, Finding, Report};
    use crate::clock::Timestamp;

    #[test]
    fn a_report_is_aligned_and_leaves_commands_in_one_piece() {
        let findings = vec![
            Finding::error(
                Check::AppCredentials,
                "The app's credentials are not set, so nobody can connect a Discogs account here",
                "Set both anew, as follows: `discogsography-api discogs-setup --consumer-key KEY --consumer-secret -`, \
                 and read docs/operations.md",
            ),
            Finding::ok(Check::Variables, "Everything is given"),
        ];
        let report = Report::new(Timestamp::from_microseconds(0), true, findings);
        let expected = "\
discogsography-api 0.1.0, checked at 1970-01-01T00:00:00 UTC

Configuration
  ok       Everything is given

Discogs
  ERROR    The app's credentials are not set, so nobody can connect a Discogs account here
           -> Set both anew, as follows:
              `discogsography-api discogs-setup --consumer-key KEY --consumer-secret -`, and read
              docs/operations.md

1 error, 0 warnings, 0 notes, 1 ok.";
        assert_eq!(report.to_string(), expected);
    }
}
