//! Every log message is in docs/logging.md with its level and fields, and nothing else is.
//!
//! The `canary` test checks what the program really writes.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::Path;

use discogsography_api::telemetry::MARKS;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use serde_json::{Map, Value};

use crate::tidy::files;

const DOCUMENT: &str = include_str!("../../docs/logging.md");

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// The fields of every line.
const OF_EVERY_LINE: [&str; 4] = ["timestamp", "level", "message", "target"];

/// A call of a logging macro: its level, its other arguments and its message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    message: String,
    /// The level's name, or the name of the macro argument that holds it.
    level: String,
    fields: BTreeSet<String>,
}

/// Returns the log calls in the source, including those of the request line's macro.
fn calls() -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    for (path, text) in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "rs") {
        let tokens: TokenStream = text.parse().unwrap_or_else(|_| panic!("{}", path.display()));
        let mut found = Vec::new();
        find_calls(tokens, &mut found);
        let of_requests: Vec<_> =
            found.extract_if(.., |call| call.level == "level").map(|call| call.fields).collect();
        for mut call in found {
            if let Some(level) = call.level.strip_prefix("request_line ").map(str::to_owned) {
                call.level = level;
                call.fields = of_requests.iter().flatten().cloned().collect();
            }
            calls.insert(call);
        }
    }
    calls
}

fn find_calls(tokens: TokenStream, calls: &mut Vec<Call>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) => {
                if let Some(arguments) = arguments_of_macro(&mut tokens) {
                    calls.extend(call(&name.to_string(), &arguments));
                    find_calls(arguments.stream(), calls);
                }
            }
            TokenTree::Group(group) => find_calls(group.stream(), calls),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Returns the arguments of `name!(…)`; the name has been read.
fn arguments_of_macro(tokens: &mut Peekable<impl Iterator<Item = TokenTree>>) -> Option<Group> {
    let is_bang = |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == '!');
    tokens.next_if(is_bang)?;
    let is_group = |token: &TokenTree| matches!(token, TokenTree::Group(it) if it.delimiter() == Delimiter::Parenthesis);
    match tokens.next_if(is_group)? {
        TokenTree::Group(group) => Some(group),
        _ => None,
    }
}

fn call(name: &str, arguments: &Group) -> Option<Call> {
    let mut arguments = split_at_commas(arguments.stream());
    let message = arguments.pop()?;
    let level = match name {
        "request_line" => format!("request_line {}", arguments.first()?),
        // The macro itself.
        "level" => name.to_owned(),
        _ if LEVELS.contains(&name) => name.to_owned(),
        _ => return None,
    };
    let fields = arguments.iter().map(|argument| field(argument)).collect();
    // A literal may continue on the next line.
    let message = message.trim_matches('"').split("\\\n").map(str::trim_start).collect();
    Some(Call { message, level, fields })
}

/// The name in `name = value`, `%name`, `?name` or `name`.
fn field(argument: &str) -> String {
    let name = argument.split(" = ").next().unwrap_or_default();
    name.replace([' ', '%', '?'], "")
}

fn split_at_commas(tokens: TokenStream) -> Vec<String> {
    let mut arguments = vec![TokenStream::new()];
    for token in tokens {
        match (&token, arguments.last_mut()) {
            (TokenTree::Punct(comma), _) if comma.as_char() == ',' => {
                arguments.push(TokenStream::new());
            }
            (_, Some(last)) => last.extend([token]),
            (_, None) => {}
        }
    }
    let arguments = arguments.iter().map(ToString::to_string);
    arguments.filter(|argument| !argument.is_empty()).collect()
}

/// Returns the cells of every row in the table below a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = DOCUMENT.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = lines.map(|line| line.trim_matches('|').split('|'));
    cells.map(|cells| cells.map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the messages in both tables of the document.
fn documented() -> BTreeSet<Call> {
    let requests =
        names(&rows("Fields of a request").iter().map(|row| &*row[0]).collect::<String>());
    let of_requests = rows("Requests").into_iter().map(|row| (row, requests.clone()));
    let others = rows("Everything else").into_iter().map(|row| {
        let fields = names(&row[2]);
        (row, fields)
    });
    let call = |(row, fields): (Vec<String>, _)| Call {
        message: row[0].clone(),
        level: row[1].to_lowercase(),
        fields,
    };
    of_requests.chain(others).map(call).collect()
}

#[test]
fn the_document_has_every_message_and_no_other() {
    let (written, documented) = (calls(), documented());
    assert!(written.len() > 30, "only {} messages were found", written.len());
    let missing: Vec<_> = written.difference(&documented).collect();
    let too_many: Vec<_> = documented.difference(&written).collect();
    assert!(missing.is_empty() && too_many.is_empty(), "{missing:#?} is missing, {too_many:#?}");
}

#[test]
fn every_message_begins_with_a_mark_of_the_document() {
    let marks: Vec<_> = rows("Marks").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(marks, MARKS);
    for call in calls() {
        let begins = MARKS.iter().any(|mark| call.message.starts_with(&format!("{mark} ")));
        assert!(begins, "{}", call.message);
    }
}

/// Asserts that every line of a JSON log is documented.
pub(crate) fn assert_documented(log: &str) {
    let documented: BTreeMap<_, _> =
        documented().into_iter().map(|call| (call.message.clone(), call)).collect();
    for line in log.lines() {
        let fields: Map<String, Value> = serde_json::from_str(line).unwrap();
        let text = |name: &str| fields[name].as_str().unwrap();
        assert!(text("timestamp").parse::<jiff::Timestamp>().is_ok(), "{line}");
        let Some(call) = documented.get(text("message")) else {
            // Warnings quote other texts in their messages, and libraries write their own.
            let is_open = ["⚠️", "❌"].iter().any(|mark| text("message").starts_with(mark));
            assert!(is_open || !text("target").starts_with("discogsography_api"), "{line}");
            continue;
        };
        assert_eq!(call.level.to_uppercase(), text("level"), "{line}");
        let own = fields.keys().filter(|name| !OF_EVERY_LINE.contains(&name.as_str()));
        let own: BTreeSet<_> = own.cloned().collect();
        assert!(own.is_subset(&call.fields), "{line}");
    }
}
