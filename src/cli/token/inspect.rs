//! `token inspect`: the content of a token, without a secret.

use discogsography_token::{Inspection, Outcome};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::super::say;
use super::super::shown::shown;
use super::super::surroundings;
use super::times::{described, time_of};
use super::verify::code;
use crate::clock::Timestamp;

/// The claims that are times.
const TIMES: [&str; 3] = ["iat", "nbf", "exp"];

/// The most characters of a value.
const LONGEST_VALUE: usize = 200;

pub(super) fn inspect(token: &SecretString, is_json: bool) -> anyhow::Result<()> {
    let now = surroundings()?.clock.now();
    let inspection = Inspection::new(token.expose_secret(), now.since_epoch());
    if is_json {
        say(&printable::json(&json_of(&inspection).to_string()))?;
    } else {
        say(&text_of(&inspection, now))?;
    }
    if inspection.is_refused() {
        anyhow::bail!("the service refuses this token, whatever its signature");
    }
    Ok(())
}

fn json_of(inspection: &Inspection) -> Value {
    let rules = inspection.rules.iter().map(|(rule, outcome)| {
        let (is_kept, error) = match outcome {
            Outcome::Kept => (Some(true), None),
            Outcome::Broken(error) => (Some(false), Some(*error)),
            Outcome::Unknown => (None, None),
        };
        json!({
            "rule": rule.to_string(),
            "kept": is_kept,
            "code": error.map(code),
            "reason": error.map(|error| error.to_string()),
        })
    });
    let claims = inspection.claims.as_ref();
    let time = |name| claims.and_then(|claims| time_of(claims, name));
    json!({
        "header": inspection.header,
        "claims": inspection.claims,
        "issued_at": time("iat"),
        "not_before": time("nbf"),
        "expires_at": time("exp"),
        "signature": "not checked",
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn text_of(inspection: &Inspection, now: Timestamp) -> String {
    let mut lines = vec!["Header".to_owned()];
    lines.extend(lines_of(inspection.header.as_ref(), now));
    lines.push("Claims".to_owned());
    lines.extend(lines_of(inspection.claims.as_ref(), now));
    lines.push("Rules".to_owned());
    for (rule, outcome) in inspection.rules {
        lines.push(match outcome {
            Outcome::Kept => format!("  ok       {rule}"),
            Outcome::Broken(error) => format!("  BROKEN   {rule}: {error}"),
            Outcome::Unknown => format!("  unknown  {rule}"),
        });
    }
    if inspection.claims.as_ref().is_some_and(|claims| claims.contains_key("aud")) {
        lines.push(
            "  note     `aud` is ignored here, but other services refuse such a token".into(),
        );
    }
    lines.push("The signature was not checked: use `token verify`.".to_owned());
    lines.join("\n")
}

fn lines_of(part: Option<&Map<String, Value>>, now: Timestamp) -> Vec<String> {
    let Some(part) = part else {
        return vec!["  (can't be read)".to_owned()];
    };
    let line = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = shortened(&text);
        let time = TIMES.contains(&name.as_str()).then(|| time_of(part, name)).flatten();
        let time = time.map_or_else(String::new, |time| format!(" = {}", described(time, now)));
        format!("  {:<8} {text}{time}", shortened(name))
    };
    part.iter().map(line).collect()
}

fn shortened(text: &str) -> String {
    let mut rest = text.chars();
    let begin: String = rest.by_ref().take(LONGEST_VALUE).collect();
    let ending = if rest.next().is_some() { "…" } else { "" };
    format!("{}{ending}", shown(&begin))
}
